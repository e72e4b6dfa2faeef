"""Sets and gets items of a multiprocessing.Manager's dict, and prints the seconds that each call took.

usage: manager_dict.py CALLS REST

REST: seconds to wait before each call, so that the server sleeps. Then both are kept on one processor.
"""

import multiprocessing
import os
import statistics
import sys
import time


def main():
    calls, rest = int(sys.argv[1]), float(sys.argv[2])
    if rest != 0:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # also of the server, which is forked
    with multiprocessing.Manager() as manager:
        items = manager.dict()

        def call(number):
            if number % 2 == 0:
                items[number % 1000] = number
            else:
                items.get(number % 1000)

        for number in range(200):
            call(number)
        if rest == 0:
            begin = time.perf_counter()
            for number in range(calls):
                call(number)
            print((time.perf_counter() - begin) / calls)
            return
        times = []
        for number in range(min(calls, 200)):
            time.sleep(rest)
            begin = time.perf_counter()
            call(number)
            times.append(time.perf_counter() - begin)
        print(statistics.median(times))


if __name__ == "__main__":
    main()
