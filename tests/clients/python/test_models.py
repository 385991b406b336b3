"""OpenAI Python: the list of models is the list of agents and aliases."""

import openai
import pytest


def test_agents_and_aliases_are_listed_without_context_headers(bare):
    models = {model.id: model for model in bare.models.list()}
    assert {"assistant", "own-key", "gpt-4o"} <= models.keys()
    assert all(model.object == "model" and model.owned_by for model in models.values())


@pytest.mark.parametrize("name", ["assistant", "gpt-4o"])
def test_one_model_can_be_looked_up(bare, name):
    assert bare.models.retrieve(name).id == name


def test_an_unknown_model_is_not_found(bare):
    with pytest.raises(openai.NotFoundError) as raised:
        bare.models.retrieve("gpt-99")
    assert raised.value.code == "model_not_found"
