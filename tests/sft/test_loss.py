"""Section losses against full logits, and how parts of a batch make up the whole one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import small_batch
import torch

from policy.backbone import load_backbone
from policy.spec import PolicySpec
from sft.examples import Section
from sft.loss import LOSS_SECTIONS, MARK_WEIGHT, SectionLosses, combine, global_means, section_losses

WORDS = [9, 2, 5, 3]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_batch.build(tmp_path_factory.mktemp("policy"))


@pytest.fixture(scope="module")
def model(folder: Path) -> Any:
    return load_backbone(folder)


def losses_of(model: Any, folder: Path, rows: slice = slice(None), padding: int = 0) -> SectionLosses:
    inputs, sections = small_batch.batch(folder, WORDS, rows, padding)
    return section_losses(model, inputs, sections, PolicySpec.load(folder).vocabulary_ids())


@torch.no_grad()
def test_each_section_is_the_mean_over_its_own_tokens_and_choices(model: Any, folder: Path) -> None:
    inputs, sections = small_batch.batch(folder, WORDS)
    vocabulary = PolicySpec.load(folder).vocabulary_ids()
    logits = model(**inputs).logits
    prompt = inputs["input_ids"].shape[1] - sections.shape[1]
    wanted: dict[Section, list[tuple[float, bool]]] = {section: [] for section in LOSS_SECTIONS}
    for row in range(len(WORDS)):
        for column in range(sections.shape[1]):
            section = Section(int(sections[row, column]))
            if section is Section.NONE:
                continue
            token = int(inputs["input_ids"][row, prompt + column])
            scores, first = logits[row, prompt + column - 1], 0
            if section is Section.TRAJECTORY:
                first = vocabulary.future_start
                scores = scores[first : first + vocabulary.future_bins]
            nll = -float(torch.log_softmax(scores, -1)[token - first])
            wanted[section].append((nll, int(scores.argmax()) + first == token))
    assert [len(wanted[section]) for section in LOSS_SECTIONS] == [sum(WORDS), 4 * small_batch.TRAJECTORY, 8]
    for section, (loss, accuracy) in losses_of(model, folder).items():
        nlls, right = zip(*wanted[section], strict=True)
        assert float(loss) == pytest.approx(sum(nlls) / len(nlls), abs=1e-4)
        assert float(accuracy) == pytest.approx(sum(right) / len(right))


@torch.no_grad()
def test_padding_is_in_no_section(model: Any, folder: Path) -> None:
    plain, padded = losses_of(model, folder), losses_of(model, folder, padding=7)
    for section, (loss, _) in plain.items():
        assert float(padded[section][0]) == pytest.approx(float(loss), abs=1e-5)


def tokens_of(rows: slice) -> dict[Section, float]:
    words = WORDS[rows]
    text, drive, marks = sum(words), small_batch.TRAJECTORY * len(words), 2 * len(words)
    return dict(zip(LOSS_SECTIONS, map(float, (text, drive, marks)), strict=True))


@torch.no_grad()
def test_parts_of_unlike_length_make_up_the_whole_batch(model: Any, folder: Path) -> None:
    whole = losses_of(model, folder)
    rows = (slice(0, 1), slice(1, 2), slice(2, 3), slice(3, 4))
    average = {section: count / 4 for section, count in tokens_of(slice(None)).items()}
    parts = []
    for part in rows:
        _, sections = small_batch.batch(folder, WORDS, part)
        parts.append(global_means(losses_of(model, folder, part), sections, average))
    for section, (loss, accuracy) in whole.items():
        assert float(sum(part[section][0] for part in parts)) / 4 == pytest.approx(float(loss), abs=1e-5)
        assert float(sum(part[section][1] for part in parts)) / 4 == pytest.approx(float(accuracy), abs=1e-6)
    plain = sum(float(losses_of(model, folder, part)[Section.TEXT][0]) for part in rows) / 4
    assert abs(plain - float(whole[Section.TEXT][0])) > 1e-3, "a mean of means is something else"


@torch.no_grad()
def test_a_lone_part_keeps_every_bit(model: Any, folder: Path) -> None:
    whole = losses_of(model, folder)
    _, sections = small_batch.batch(folder, WORDS)
    scaled = global_means(whole, sections, tokens_of(slice(None)))
    assert all(torch.equal(scaled[section][0], whole[section][0]) for section in whole)


def test_an_absent_section_adds_nothing() -> None:
    text, drive = (torch.tensor(2.0), torch.tensor(0.5)), (torch.tensor(3.0), torch.tensor(0.1))
    assert float(combine({Section.TRAJECTORY: drive}, 0.9)) == 3.0
    both = {Section.TEXT: text, Section.TRAJECTORY: drive, Section.MARK: text}
    assert float(combine(both, 0.5)) == pytest.approx(0.5 * 2 + 3 + MARK_WEIGHT * 2)
