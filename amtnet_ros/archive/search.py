"""Moments of an archive in which somebody does something, best first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from amtnet_ros.archive.index import search_space
from amtnet_ros.archive.moment import Moment
from amtnet_ros.archive.query import Wanted, labels_meant
from amtnet_ros.archive.recording import SECOND
from amtnet_ros.archive.store import ABOUT, TUBES, Store, connect, literal
from amtnet_ros.archive.tables import tubes_of
from amtnet_ros.archive.tube import ArchivedTube
from amtnet_ros.errors import UserError

_DAY = 86_400
_MOMENTS = """
    WITH said AS (
        SELECT key, tube, second, sum(score) AS score, any_value(people) AS people, any_value(size) AS size,
               any_value(clock) AS clock
        FROM ({rows}) WHERE label IN ({labels}) GROUP BY key, tube, second
    ), islands AS (
        SELECT *, second - row_number() OVER (PARTITION BY key, tube ORDER BY second) AS island
        FROM said WHERE {conditions}
    )
    SELECT key, tube, min(second) AS first, max(second) + 1 AS last, avg(score) AS score, max(people) AS people,
           avg(size) AS size
    FROM islands GROUP BY key, tube, island HAVING count(*) >= {seconds}
    ORDER BY score DESC, key, tube, first LIMIT {limit}
"""
_DETAILS = """
    SELECT row_number() OVER (ORDER BY moment.score DESC, key, tube, first) AS rank, round(moment.score, 4) AS score,
           file, dataset, topic, episode, session, tube,
           greatest(first * 1000000000, "begin") AS start, least(last * 1000000000, "end") AS stop,
           make_timestamp(epoch_us(time) + (greatest(first * 1000000000, "begin") - "begin") // 1000) AS time,
           people, round(size, 3) AS size, "offset", kind, file_begin, key
    FROM ({moments}) AS moment JOIN read_parquet({files}) USING (key, tube) ORDER BY rank
"""


@dataclass(frozen=True)
class Archive:
    """An archive to search. place: its folder, a path or URL.

    Archive("tubes").find("waving hand", limit=20).to_pandas()
    """

    place: str

    def find(self, action: str, wanted: Wanted | None = None, limit: int = 20) -> Any:
        """The best moments as an Arrow table, a row each, best first.

        action: one of the model's, one of the 600 names, or several under a label, see `labels_meant`.
        Columns: rank; score, the mean over its seconds; file, dataset, topic, episode, session and tube say where;
        start and stop, stamps (ns) of the camera; time, where it is known; people, the most in view; size, the share of
        the picture's height. `offset`, kind, file_begin and key find it in the file.
        Raises UserError where there is no archive, no such action, or one that cannot be read.
        """
        store = Store(self.place)
        about = store.read_about()
        if about is None:
            raise UserError(f"{store.place}: no archive ({ABOUT} is missing); `amtnet archive` makes one")
        labels = labels_meant(action, about["actions"])
        with connect(store.place) as database:
            rows = search_space(store, database)
            if not rows:
                raise UserError(f"{store.place}: the archive is empty as yet")
            query = _MOMENTS.format(
                rows=rows,
                labels=", ".join(map(literal, labels)),
                conditions=" AND ".join(_conditions(wanted or Wanted())),
                seconds=(wanted or Wanted()).seconds,
                limit=limit,
            )
            database.execute(f"CREATE TEMP TABLE moments AS {query}")
            keys = [key for (key,) in database.execute("SELECT DISTINCT key FROM moments").fetchall()]
            if not keys:
                keys = store.names(TUBES)[:1]  # for the columns
            files = ", ".join(literal(store.where(TUBES, f"{key}.parquet")) for key in keys)
            query = _DETAILS.format(moments="FROM moments", files=f"[{files}]")
            return database.sql(query).to_arrow_table()

    def tube_of(self, moment: Moment) -> ArchivedTube:
        """The whole tube that a moment is of. Raises UserError where it cannot be read."""
        table = Store(self.place).read_table(TUBES, f"{moment.key}.parquet")
        return tubes_of(table)[moment.tube - 1]


def _conditions(wanted: Wanted) -> list[str]:
    least, most = wanted.people
    found = [f"score >= {wanted.score}", f"people >= {least}", f"size >= {wanted.size}"]
    if most is not None:
        found.append(f"people <= {most}")
    if wanted.between is not None:
        first, last = (60 * (60 * each.hour + each.minute) for each in wanted.between)
        now = f"(clock // {SECOND} % {_DAY})"
        found.append(f"({now} >= {first} {'AND' if first <= last else 'OR'} {now} < {last})")
    return found
