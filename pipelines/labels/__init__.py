"""The classes of label maps: palettes, colours to class ids and back, maps that hold ids.

Face: `palettes.Palette`, `palettes.find_palette`, `id_maps.colour_id_maps`.
"""
