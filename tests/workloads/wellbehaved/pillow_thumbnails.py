"""Pillow making two thumbnails of each image, each image read once."""

from PIL import Image, ImageOps

from wellbehaved import made_files

IMAGES = 60
SIDES = (512, 128)
ROUNDS = 8


def run(stage):
    folder = made_files.make(stage, "images", IMAGES)
    results = stage.folder / "thumbnails"
    results.mkdir()
    stage.begin()
    for path in sorted(folder.iterdir()):
        with Image.open(path) as image:
            image = ImageOps.autocontrast(image)
        for side in SIDES:
            for turn in range(ROUNDS):
                turned = image.rotate(360 / ROUNDS * turn, Image.Resampling.BICUBIC)
                turned.thumbnail((side, side), Image.Resampling.LANCZOS)
                turned.save(results / ("%s-%d-%d.webp" % (path.stem, side, turn)), quality=80)
        stage.work.did()
