"""`ar1 critic calibrate | red-team | stats`: tables, JSON, exit statuses."""

from __future__ import annotations

import json

from openai_stand_in import Reply, endpoint, grades
from typer.testing import CliRunner

from rl.commands.critic import app


def run(*words: object):
    return CliRunner().invoke(app, [str(word) for word in words])


def test_the_rubric_is_calibrated_to_a_table_and_a_report(tmp_path):
    out = tmp_path / "report.json"
    shown = run("calibrate", "--out", out)
    assert shown.exit_code == 0
    assert "quadratic kappa" in shown.output
    assert "hand-written" in shown.output
    report = json.loads(out.read_text())
    assert (report["grader"], report["rows"], report["missing"]) == ("rubric", 166, 0)
    printed = json.loads(run("calibrate", "--json", "--out", out).output)
    assert printed["agreement"] == report["agreement"]


def test_a_judge_is_asked_about_every_row_and_the_second_time_about_none(tmp_path):
    cache = tmp_path / "critic.sqlite"
    with endpoint(Reply(grades(5, 5, None))) as service:
        words = [
            "--backend",
            "openai",
            "--base-url",
            service.url,
            "--model",
            "m",
            "--brief",
            "--cache",
            cache,
        ]
        words += ["--set", "canary", "--out", tmp_path / "r.json", "--json"]
        first = json.loads(run("calibrate", *words).output)
        asked = len(service.got)
        second = json.loads(run("calibrate", *words).output)
        assert len(service.got) == asked
    assert first["usage"]["requests"] == asked > 0
    assert second["usage"]["requests"] == 0
    assert second["agreement"] == first["agreement"]
    told = json.loads(run("stats", cache, "--json").output)
    assert (told["answers"], told["judges"]["m"]["requests"]) == (asked, asked)
    assert "hits" in run("stats", cache).output


def test_a_duped_judge_fails_the_red_team(tmp_path):
    out = tmp_path / "r.json"
    with endpoint(Reply(grades(3, 3, None))) as service:
        words = ["--backend", "openai", "--base-url", service.url, "--model", "m", "--brief"]
        even = run("red-team", *words, "--guard", "off", "--out", out)
    assert even.exit_code == 0  # everything gets the same: nothing pays
    assert json.loads(out.read_text())["families"]["all"]["attack"] > 0
    assert run("red-team").exit_code == 0


def test_several_judges_come_from_a_file(tmp_path):
    file = tmp_path / "judges.yaml"
    with endpoint(Reply(grades(5, 5, None))) as one, endpoint(Reply(grades(2, 5, None))) as two:
        file.write_text(
            f"judges:\n- {{base_url: {one.url}, model: a}}\n- {{base_url: {two.url}, model: b}}\n"
            "combine: median\nexplain: false\n"
        )
        words = ["--backend", "openai", "--judges", file, "--set", "canary", "--repeats", 1, "--no-biases"]
        told = json.loads(run("calibrate", *words, "--json", "--out", tmp_path / "r.json").output)
    assert told["grader"].startswith("median-of-2:")
    assert told["usage"]["requests"] == len(one.got) + len(two.got)


def test_a_missing_cache_or_endpoint_is_named(tmp_path):
    assert "--base-url" in run("calibrate", "--backend", "openai").output
    assert isinstance(run("stats", tmp_path / "none").exception, FileNotFoundError)
