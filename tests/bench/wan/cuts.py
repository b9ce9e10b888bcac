"""Cuts a line at random moments while a study is sent over it, and looks how soon bytes flow again."""

import random
import threading
import time

# Pauses between cuts and lengths of cuts, in seconds.
BETWEEN, LENGTH = (0.2, 1.0), (0.2, 3.0)
LOOK_SECONDS = 0.01
# More than the probe and greetings send in a look or two: the study itself.
FLOWING_BYTES = 4000
PATIENCE_SECONDS = 30


class Cutter(threading.Thread):
    """So many cuts; `returns` has the seconds from each mending to the first bytes of the study at the other end."""

    def __init__(self, line, count, seed):
        super().__init__(daemon=True)
        self.line, self.count, self.chance = line, count, random.Random(seed)
        self.returns, self.ended = [], threading.Event()

    def run(self):
        for _ in range(self.count):
            if self.ended.wait(self.chance.uniform(*BETWEEN)):
                return
            self.line.down()
            cut_short = self.ended.wait(self.chance.uniform(*LENGTH))
            before = self.carried()
            self.line.up()
            if cut_short:
                return
            self.returns.append(self.until_flowing(before))

    def carried(self):
        return self.line.stats()["to_hospital"]["carried_bytes"]

    def until_flowing(self, before):
        """Seconds until the study moves again; None when it did not before the end of the sender or of patience."""
        begin = time.monotonic()
        while not self.ended.wait(LOOK_SECONDS):
            waited = time.monotonic() - begin
            if self.carried() - before > FLOWING_BYTES:
                return waited
            if waited > PATIENCE_SECONDS:
                return None
        return None

    def stop(self):
        self.ended.set()
        if self.ident is not None:
            self.join()
