"""What the README promises of runs that are killed, damaged or fed with anything.

Kills, damage, foreign bytes and surroundings: each test adds to one table, shown at the
end. A sample runs with the slow tests; `-m endurance` runs the same tests with more
kills and inputs.
"""
