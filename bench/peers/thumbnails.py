"""Makes thumbnails with multiprocessing.Pool and Pillow, and prints the seconds that each took.

usage: thumbnails.py WORKERS COUNT SIZE FOLDER OUTPUT
"""

import multiprocessing
import os
import sys
import time

from PIL import Image, ImageOps


def make_thumbnail(job):
    picture, thumbnail, size = job
    with Image.open(picture) as image:
        image.thumbnail((size, size))
        image = ImageOps.exif_transpose(image).convert("RGB")
        image.save(thumbnail + ".part", "JPEG", quality=90)
        os.replace(thumbnail + ".part", thumbnail)
    return image.size


def find_pictures(folder):
    pictures = []
    for directory, _, names in os.walk(folder):
        for name in names:
            if name.lower().endswith((".jpg", ".jpeg", ".png")):
                pictures.append(os.path.join(directory, name))
    return sorted(pictures)


def main():
    workers, count, size = (int(argument) for argument in sys.argv[1:4])
    folder, output = sys.argv[4:6]
    pictures = find_pictures(folder)
    jobs = [
        (pictures[i % len(pictures)], os.path.join(output, f"python-{i + 1:06}.jpg"), size) for i in range(count)
    ]
    with multiprocessing.Pool(workers) as pool:
        pool.map(make_thumbnail, jobs[: 8 * workers], 1)
        begin = time.perf_counter()
        sizes = pool.map(make_thumbnail, jobs, 1)
        seconds = time.perf_counter() - begin
    assert len(sizes) == count
    print(seconds / count)


if __name__ == "__main__":
    main()
