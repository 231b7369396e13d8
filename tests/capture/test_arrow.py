"""Tables as Arrow streams: every library that takes them reads the same values."""

from __future__ import annotations

import gc
from typing import Any

import pytest

from packetlab import Capture, CaptureError, Frame, PacketlabError
from packetlab.capture.tables import arrow
from tests.conftest import CORPUS

NAMES = ("time_ns", "ether.dst", "ip.src", "ip", "tcp.sport", "tcp.payload", "arp.operation", "comment", "ipv6.src")


def capture() -> Capture:
    frames = [*Capture(CORPUS / "web.pcap"), *Capture(CORPUS / "arp-who-has.pcap"), *Capture(CORPUS / "icmpv6.pcap")]
    return Capture.of([frame.replace(comment=f"n {i}") if i % 5 == 0 else frame for i, frame in enumerate(frames)])


def expected() -> dict[str, list[Any]]:
    whole = capture().table(*NAMES).read()
    columns = {}
    for name in NAMES:
        values = whole[name].tolist()
        columns[name] = [v if there else None for v, there in zip(values, whole.valid(name).tolist(), strict=True)]
    return columns


def checked(rows: dict[str, list[Any]]) -> None:
    for name, values in expected().items():
        if name == "time_ns":
            continue
        assert rows[name] == values, name


def test_nanoarrow_reads_it() -> None:
    nanoarrow = pytest.importorskip("nanoarrow")
    stream = nanoarrow.ArrayStream(capture().table(*NAMES))
    assert [str(field.type) for field in stream.schema.fields][:2] == ["Type.TIMESTAMP", "Type.FIXED_SIZE_BINARY"]
    table = stream.read_all()
    columns = {field.name: [] for field in stream.schema.fields}
    for row in table.iter_py():
        for name, value in row.items():
            columns[name].append(value)
    checked(columns)


def test_polars_reads_it() -> None:
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame(capture().table(*NAMES))
    checked({name: frame[name].to_list() for name in NAMES})
    assert frame["time_ns"].dtype == polars.Datetime("ns", "UTC")


def test_pyarrow_pandas_and_duckdb_read_it() -> None:
    pyarrow = pytest.importorskip("pyarrow")
    table = pyarrow.table(capture().table(*NAMES))
    table.validate(full=True)
    checked(table.to_pydict())
    duckdb = pytest.importorskip("duckdb")
    flows = capture().table(*NAMES)  # noqa: F841  named in the query
    assert duckdb.sql("select count(*) from flows where ip").fetchall() == [(24,)]
    del flows
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame.from_arrow(capture().table(*NAMES))
    assert frame["tcp.sport"].count() == 24 and str(frame["time_ns"].dtype) == "datetime64[ns, UTC]"


@pytest.mark.slow
def test_nothing_is_kept_once_the_consumer_is_done() -> None:
    pyarrow = pytest.importorskip("pyarrow")
    nanoarrow = pytest.importorskip("nanoarrow")
    gc.collect()
    before, capsules = set(arrow._kept), set(arrow._streams)
    for _ in range(5):
        capture().table(*NAMES).__arrow_c_stream__()  # nobody takes it
        nanoarrow.ArrayStream(capture().table(*NAMES)).read_all()
        pyarrow.table(capture().table(*NAMES))
        # A consumer that stops early releases what it has.
        pyarrow.RecordBatchReader.from_stream(capture().table("ip.src")).read_next_batch()
    gc.collect()
    assert set(arrow._kept) == before and set(arrow._streams) == capsules


def test_a_damaged_file_is_the_consumers_error_too(tmp_path: Any) -> None:
    path = tmp_path / "cut.pcap"
    path.write_bytes((CORPUS / "web.pcap").read_bytes()[:-5])
    for library in ("pyarrow", "polars"):
        read = {"pyarrow": "table", "polars": "DataFrame"}[library]
        with pytest.raises(Exception, match="expected a record"):
            getattr(pytest.importorskip(library), read)(Capture(path).table("ip.src"))
    with pytest.raises(CaptureError):
        Capture(path).table("ip.src").read()


def test_a_schema_of_the_consumers_own_is_refused() -> None:
    with pytest.raises(PacketlabError, match="no schema requested"):
        Capture.of([Frame(b"")]).table("ip").__arrow_c_stream__(object())
