from freehold.evals.question import digest
from freehold.evals.questions import shipped_questions
from freehold.evals.shipped import shipped_calibrations, shipped_certificates
from freehold.routing.calibration import applies
from freehold.routing.certificate import statement, void

SHIPPED = shipped_calibrations()
WHOLE = [each for each in SHIPPED if each.scope == "whole"]
DAY_MS = 86_400_000
STARTER_MODELS = {
    "sha256:b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53": "SmolLM2-135M-Instruct Q4_1",
    "sha256:1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32": "Qwen2.5-Coder-0.5B-Instruct Q4_K_M",
    "sha256:cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046": "Qwen2.5-Coder-1.5B-Instruct Q4_K_M",
}


def test_there_is_one_for_each_starter_model():
    assert {each.model_digest for each in WHOLE} == STARTER_MODELS.keys()
    assert len(WHOLE) == len(STARTER_MODELS)
    assert len({each.id for each in SHIPPED}) == len(SHIPPED)


def test_they_were_fitted_on_the_questions_that_are_shipped():
    assert {each.question_digest for each in SHIPPED} == {digest(shipped_questions())}


def test_each_holds_for_its_own_engine():
    for each in SHIPPED:
        facts = {
            "model_digest": each.model_digest,
            "engine": "llama.cpp",
            "engine_version": each.engine_version,
            "template_digest": each.template_digest,
            "workload": "general",
            "scope": each.scope,
        }
        assert applies(each, **facts)
        assert not applies(each, **facts | {"engine_version": "b1"})


def test_each_tells_right_from_wrong_on_questions_it_never_saw():
    for each in WHOLE:
        assert each.held_out is not None
        assert each.held_out.n > 300
        assert each.held_out.auroc > 0.7, STARTER_MODELS[each.model_digest]
        assert each.held_out.ece < 0.12, STARTER_MODELS[each.model_digest]


def test_every_certificate_names_a_calibration_that_ships_and_expires():
    by_id = {each.id: each for each in SHIPPED}
    assert shipped_certificates()
    for each in shipped_certificates():
        calibration = by_id[each.scored_on.calibration]
        assert calibration.model_digest == each.scored_on.model_digest
        assert calibration.scope == each.scored_on.scope
        assert not void(each, each.scored_on, each.created_unix_ms)
        assert void(each, each.scored_on, each.created_unix_ms + 181 * DAY_MS)
        assert "are wrong, with 90% confidence" in statement(each)


def test_no_certificate_is_claimed_that_the_models_do_not_reach():
    """The smallest model is right on a fifth of the questions: whatever it says it must be held against something else."""
    smallest = next(digest for digest, name in STARTER_MODELS.items() if name.startswith("SmolLM2"))
    assert not any(each.scored_on.model_digest == smallest for each in shipped_certificates())
