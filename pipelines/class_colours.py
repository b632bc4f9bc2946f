"""The classes of the datasets with label maps: the name and the RGB colour of each, in class id order."""

import types

# The colours of the CMP Facade label maps as JPEG leaves them. JPEG also blurs the borders, so a
# pixel belongs to the class whose colour is nearest.
FACADES_PALETTE = types.MappingProxyType(
    {
        "background": (0, 0, 222),
        "facade": (0, 48, 255),
        "window": (0, 128, 255),
        "door": (1, 207, 255),
        "cornice": (32, 255, 224),
        "sill": (112, 254, 142),
        "balcony": (192, 255, 63),
        "blind": (255, 240, 1),
        "deco": (255, 159, 0),
        "molding": (255, 80, 0),
        "pillar": (254, 0, 0),
        "shop": (174, 0, 1),
    }
)

# The 19 training classes of Cityscapes in the order of their train ids. The colours are those of the
# dataset's own tools.
CITYSCAPES_PALETTE = types.MappingProxyType(
    {
        "road": (128, 64, 128),
        "sidewalk": (244, 35, 232),
        "building": (70, 70, 70),
        "wall": (102, 102, 156),
        "fence": (190, 153, 153),
        "pole": (153, 153, 153),
        "traffic light": (250, 170, 30),
        "traffic sign": (220, 220, 0),
        "vegetation": (107, 142, 35),
        "terrain": (152, 251, 152),
        "sky": (70, 130, 180),
        "person": (220, 20, 60),
        "rider": (255, 0, 0),
        "car": (0, 0, 142),
        "truck": (0, 0, 70),
        "bus": (0, 60, 100),
        "train": (0, 80, 100),
        "motorcycle": (0, 0, 230),
        "bicycle": (119, 11, 32),
    }
)

# The colours of what Cityscapes does not score. Black stands for unlabeled, ego vehicle, rectification
# border, out of roi and static. A license plate has the colour of a car and counts as one.
CITYSCAPES_VOID = (
    (0, 0, 0),
    (111, 74, 0),  # dynamic
    (81, 0, 81),  # ground
    (250, 170, 160),  # parking
    (230, 150, 140),  # rail track
    (180, 165, 180),  # guard rail
    (150, 100, 100),  # bridge
    (150, 120, 90),  # tunnel
    (0, 0, 90),  # caravan
    (0, 0, 110),  # trailer
)

# The 11 classes of CamVid in the version of SegNet, in the order of their class ids.
CAMVID_PALETTE = types.MappingProxyType(
    {
        "sky": (128, 128, 128),
        "building": (128, 0, 0),
        "pole": (192, 192, 128),
        "road": (128, 64, 128),
        "pavement": (0, 0, 192),
        "tree": (128, 128, 0),
        "sign": (192, 128, 128),
        "fence": (64, 64, 128),
        "car": (64, 0, 128),
        "pedestrian": (64, 64, 0),
        "bicyclist": (0, 128, 192),
    }
)
