"""Hands tiny tasks to multiprocessing.Pool one by one and prints the seconds that each took.

usage: apply_async.py WORKERS TASKS
"""

import multiprocessing
import sys
import time


def add_one(x):
    return x + 1


def main():
    workers, tasks = int(sys.argv[1]), int(sys.argv[2])
    with multiprocessing.Pool(workers) as pool:
        pool.map(add_one, range(1000))
        begin = time.perf_counter()
        results = [pool.apply_async(add_one, (i,)) for i in range(tasks)]
        total = sum(result.get() for result in results)
        seconds = time.perf_counter() - begin
    assert total == tasks * (tasks + 1) // 2
    print(seconds / tasks)


if __name__ == "__main__":
    main()
