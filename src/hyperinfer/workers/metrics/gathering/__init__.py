"""`gatherLogs`: the lines of every worker of the swarm, merged by time.

Clocks of machines differ, so that lines of two workers may stand in the wrong order; those of one worker never do.
"""

from hyperinfer.workers.metrics.gathering.gathering import Gathering

__all__ = ["Gathering"]
