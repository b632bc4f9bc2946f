"""What the answers of a study say: exclusions, fooling rates, intervals, a report and a plot.

Face: `write`.
"""
