"""Puts strings into a multiprocessing.Queue in one process, gets them in another, and prints the seconds that each took.

usage: queue_of_strings.py COUNT SIZE
"""

import multiprocessing
import sys
import time


def put_many(queue, go, count, size):
    item = "x" * size
    go.wait()
    for _ in range(count):
        queue.put(item)


def main():
    count, size = int(sys.argv[1]), int(sys.argv[2])
    queue = multiprocessing.Queue(1024)
    go = multiprocessing.Event()
    producer = multiprocessing.Process(target=put_many, args=(queue, go, count, size))
    producer.start()
    time.sleep(0.05)
    begin = time.perf_counter()
    go.set()
    for _ in range(count):
        queue.get()
    seconds = time.perf_counter() - begin
    producer.join()
    print(seconds / count)


if __name__ == "__main__":
    main()
