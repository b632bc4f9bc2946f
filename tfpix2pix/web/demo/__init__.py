"""The command `web.demo`: draw in the browser and watch it become a picture.

Face: `application.make_demo`.
"""
