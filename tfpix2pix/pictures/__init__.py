"""Tensors as pictures for people: contact sheets, PNG files, pages.

Face: `sheets.contact_sheet`, `sheets.write_png`, `page.render_gallery`.
"""
