"""The text format, as Prometheus' own parser reads it."""

from prometheus_client.parser import text_string_to_metric_families

from hubgate.control.metrics.exposition import Family, exposed

AWKWARD = 'back\\slash "quote" new\nline'


def test_label_values_are_escaped() -> None:
    family = Family("taken", "gauge", "Taken places", "by")
    text = exposed([(family, {("", (("by", AWKWARD),)): 1.5})])
    (read,) = text_string_to_metric_families(text)
    assert [(sample.labels, sample.value) for sample in read.samples] == [({"by": AWKWARD}, 1.5)]


def test_values_keep_their_precision() -> None:
    family = Family("bytes", "gauge", "Bytes")
    values = [0, 3.0, 2**53 + 2, 1e-9, 0.1, 1 / 3, 1e300]
    for value in values:
        (read,) = text_string_to_metric_families(exposed([(family, {("", ()): value})]))
        assert read.samples[0].value == value


def test_a_family_without_samples_is_announced() -> None:
    assert exposed([(Family("none", "counter", "Nothing yet", "status"), {})]) == (
        "# HELP none Nothing yet\n# TYPE none counter\n"
    )
