"""The command `study`: the paper's real-vs-fake study, from making its folder to serving its pages.

Face: `creation`, `application`, `folder`.
"""
