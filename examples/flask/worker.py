"""A process without a port. It ends between two pieces of work, never within one."""

import os
import signal
import threading

import services

PAUSE = 10


def main():
    services.check()
    ending = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: ending.set())
    while not ending.is_set():
        print(f"worker {os.environ.get('DYNO', '')} did a piece of work", flush=True)
        ending.wait(PAUSE)
    print("worker ends", flush=True)


if __name__ == "__main__":
    main()
