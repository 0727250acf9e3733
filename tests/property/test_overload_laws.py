"""The overload manager is monotone: whoever has it worse is refused no less."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from freehold.domain.errors.admission import AdmissionError
from freehold.domain.priority import Priority
from freehold.serving.overload import Door, Level, OverloadSteps, Readings

shares = st.sampled_from([0.0, 0.5, 0.82, 0.84, 0.85, 0.86, 0.88, 0.91, 0.93, 0.95, 1.0])
delays = st.sampled_from([0.0, 0.4, 0.6, 1.0, 1.1, 1.6, 2.5, 4.0])
more = st.sampled_from([0.0, 0.0, 0.02, 0.05])


@given(st.lists(st.tuples(shares, delays, more, more, st.sampled_from([0.25, 2.0, 6.0])), max_size=60))
def test_higher_readings_never_lead_to_a_lower_level(history):
    mild, harsh, now_s = OverloadSteps(), OverloadSteps(), 0.0
    for share, delay_s, more_share, more_delay_s, pause_s in history:
        now_s += pause_s
        low = mild.update(Readings(memory_share=share, delay_s=delay_s), now_s=now_s)
        high = harsh.update(Readings(memory_share=share + more_share, delay_s=delay_s + more_delay_s), now_s=now_s)
        assert low <= high


@given(st.sampled_from(Level), st.sampled_from(Level), st.sampled_from(Priority), st.booleans())
def test_a_higher_level_refuses_no_less(one, other, priority, stream):
    def refused(level: Level) -> bool:
        door = Door()
        door.set_level(level, resource="memory")
        try:
            door.check(priority=priority, stream=stream)
        except AdmissionError:
            return True
        return False

    assert refused(max(one, other)) or not refused(min(one, other))
