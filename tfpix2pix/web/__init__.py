"""What both web servers share: an application that is safe to put in front of strangers, and its limits.

Face: `application.make_application`, `server`.
"""
