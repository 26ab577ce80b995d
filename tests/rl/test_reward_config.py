"""What a reward's section may say: places of secrets and never secrets; local and remote settings apart."""

from __future__ import annotations

import pytest
import yaml

from policy.config_file import ConfigError, dump_config, load_config
from rl.config import JobConfig

SECRET = "sk-planted-0123456789abcdef"


def load(tmp_path, **reward):
    path = tmp_path / "job.yaml"
    path.write_text(yaml.safe_dump({"rewards": [{"name": "judge", "source": "reasoning", **reward}]}))
    return load_config(JobConfig, path)


@pytest.mark.parametrize(
    ("reward", "fix"),
    [
        ({"args": {"api_key": SECRET}}, "api_key_file"),
        ({"args": {"model": {"options": [SECRET]}}}, "holds a secret"),
        ({"args": {"base_url": f"https://ann:{SECRET}@host/v1"}}, "base_url"),
        ({"source": f"grpc://ann:{SECRET}@host:1/x"}, "token_file"),
        ({"token": SECRET}, "unknown key rewards.0.token; did you mean 'token_"),
    ],
)
def test_a_secret_in_a_configuration_is_refused_without_being_quoted(tmp_path, reward, fix):
    with pytest.raises(ConfigError, match=fix) as refused:
        load(tmp_path, **reward)
    assert SECRET not in str(refused.value)


def test_places_of_secrets_are_accepted_and_dumped_as_places(tmp_path):
    remote = {"source": "grpc://host:1/x", "token_file": "keys/token", "tls": {"ca": "ca.pem"}}
    dumped = yaml.safe_load(dump_config(load(tmp_path, **remote)))["rewards"][0]
    assert (dumped["token_file"], dumped["tls"]["ca"]) == ("keys/token", "ca.pem")
    judge = {"args": {"backend": "openai", "api_key_file": "keys/judge", "max_tokens": 100}}
    assert load(tmp_path, **judge).rewards[0].args["api_key_file"] == "keys/judge"


@pytest.mark.parametrize(
    ("reward", "complaint"),
    [
        ({"source": "grpc://host:1/x", "environment": "envs/x"}, "takes no environment"),
        ({"source": "grpc://host:1/x", "processes": 2}, "takes no processes"),
        ({"source": "grpc://host:1/x", "args": {"a": 1}}, "where that server is started"),
        ({"source": "trajectory", "token_env": "T"}, "loopback for it alone"),
        ({"source": "trajectory", "tls": {"ca": "x"}}, "takes no tls"),
        ({"source": "grpc://host:1/x", "token_env": "T", "token_file": "t"}, "not both"),
        ({"processes": 0}, "greater than 0"),
    ],
)
def test_settings_of_the_other_kind_of_server_are_refused(tmp_path, reward, complaint):
    with pytest.raises(ConfigError, match=complaint):
        load(tmp_path, **reward)
