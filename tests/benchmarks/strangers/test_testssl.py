"""What testssl.sh found is counted, and the worst comes first."""

from benchmarks.strangers.testssl import in_words, summary

ENTRIES = [
    {"id": "TLS1", "severity": "OK", "finding": "not offered"},
    {"id": "TLS1_3", "severity": "OK", "finding": "offered with final"},
    {"id": "HSTS", "severity": "LOW", "finding": "not offered"},
    {"id": "cert_revocation", "severity": "HIGH", "finding": "Neither CRL nor OCSP URI provided"},
    {"id": "service", "severity": "INFO", "finding": "HTTP"},
]


def test_findings_are_counted_and_sorted() -> None:
    said = summary(ENTRIES)
    assert said["severities"] == {"OK": 2, "LOW": 1, "HIGH": 1, "INFO": 1}
    assert said["findings"] == [
        "HIGH cert_revocation: Neither CRL nor OCSP URI provided",
        "LOW HSTS: not offered",
    ]
    assert in_words(said) == "2 checks passed, 1 gave information, 2 remarks"
