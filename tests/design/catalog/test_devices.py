import csv
from pathlib import Path

import pytest

from sixfold.design.catalog.devices import device, devices, find_device
from sixfold.errors import ConfigError, InputError

PUBLISHED = Path(__file__).parents[4] / "shared" / "published"
UNRESOLVABLE = {  # texts of the published tables that name no device
    "",
    "2.2 GHz CPU, 32 threads",
    "5000 CPU cores",
    "64 GB DRAM + SSD workstation",
    "Blackwell best submission v5.0",
    "CPU cluster (README baseline)",
    "Dell PowerEdge + SSD",
    "GSI LedaE APU server",
    "Hopper-class",
    "Intel Optane server",
    "generic inference GPU",
    "generic training GPU",
    "simulated",
    "v5.0 best",
    "v5.1 best",
}


@pytest.mark.parametrize(
    ("text", "device_id"),
    [
        ("A100", "a100-sxm-80gb"),
        ("8x NVIDIA A100-SXM4-40GB", "a100-sxm-40gb"),
        ("a100 80 GB PCIe", "a100-pcie-80gb"),
        ("A100x8", "a100-sxm-80gb"),
        ("DGX A100 640GB (as listed in its README)", "a100-sxm-80gb"),
        ("p4d.24xlarge", "a100-sxm-40gb"),
        ("V100-32GB (DGX-2)", "v100-dgx2-32gb"),
        ("V100-32GB DGX-1", "v100-sxm-32gb"),
        ("Tesla V100-SXM2-16GB", "v100-sxm-16gb"),
        ("16 H100s", "h100-sxm-80gb"),
        ("h100_sxm", "h100-sxm-80gb"),
        ("H100 NVL", "h100-nvl-94gb"),
        ("H100-SXM-96GB HBM2e 2.4TB/s 500W", "h100-sxm-96gb"),
        ("gb200_nvl72", "gb200-nvl72-186gb"),
        ("A10G", "a10g-24gb"),
        ("A10", "a10-pcie-24gb"),
        ("L40S", "l40s-pcie-48gb"),
        ("L4", "l4-pcie-24gb"),
        ("RTX 4090", "rtx-4090-24gb"),
        ("rtx4090 x 2", "rtx-4090-24gb"),
        ("MI300X x 8", "mi300x-192gb"),
        ("TPUv4", "tpu-v4"),
        ("TPU v5e-256", "tpu-v5e"),
        ("2x AMD EPYC 7742", "cpu-epyc-7742"),
        ("2x AMD EPYC 7742 + 8x A100-40GB", "a100-sxm-40gb"),
        ("Azure F32s_v2 32 vCPU, 64 GB DRAM", "cpu-xeon-8168"),
    ],
)
def test_what_publications_call_a_device(text: str, device_id: str) -> None:
    found = find_device(text)
    assert found is not None
    assert found.id == device_id


def test_every_device_is_found_by_its_own_id_and_name() -> None:
    for device_id, entry in devices().items():
        for text in (device_id, device_id.upper(), device_id.replace("-", "_"), f"8x {device_id}"):
            found = find_device(text)
            assert found is not None, text
            assert found.id == device_id, text
        named = find_device(entry.name)
        assert named is not None, entry.name
        assert named.id == device_id, entry.name


@pytest.mark.skipif(not PUBLISHED.is_dir(), reason="the published tables are not on this machine")
def test_every_device_of_the_published_tables_resolves() -> None:
    unknown = set()
    for path in sorted(PUBLISHED.glob("*.csv")):
        column = "system" if path.stem == "serving_silicon_sample" else None
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                text = row.get(column or "hardware") or row.get("accelerator") or ""
                if find_device(text) is None:
                    unknown.add(text)
    assert unknown <= UNRESOLVABLE, f"neither known nor listed as unknown: {sorted(unknown - UNRESOLVABLE)}"


def test_numbers_are_plausible() -> None:
    order = ["fp4", "fp8", "bf16", "tf32", "fp32"]  # narrower is not slower
    for entry in devices().values():
        given = [entry.flops[key] for key in order if key in entry.flops]  # type: ignore[index]
        assert given == sorted(given, reverse=True), entry.id
        assert all(1e11 <= value <= 5e16 for value in entry.flops.values()), entry.id
        assert 2.0**33 <= entry.memory_bytes <= 2.0**43, entry.id
        assert 5e10 <= entry.memory_bytes_per_s <= 2e13, entry.id
        assert (entry.scale_up_bytes_per_s or 0.0) < entry.memory_bytes_per_s, entry.id
        assert entry.tdp_w is None or 30 <= entry.tdp_w <= 1500, entry.id
        assert (entry.cores is not None) == (entry.kind == "cpu"), entry.id


def test_data_sheet_of_the_a100() -> None:
    """NVIDIA A100 data sheet, 2021: 312 TFLOP/s, 2,039 GB/s, NVLink 600 GB/s both ways together."""
    entry = device("a100-sxm-80gb")
    assert entry.flops["bf16"] == pytest.approx(312e12)
    assert entry.memory_bytes == 80 * 2**30
    assert entry.memory_bytes_per_s == pytest.approx(2.039e12)
    assert entry.scale_up_bytes_per_s == pytest.approx(300e9)
    assert entry.scale_up_size == 8


def test_an_unknown_device_lists_the_known() -> None:
    with pytest.raises(ConfigError, match="got device 'abacus', expected one of v100-sxm-32gb"):
        device("abacus")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("flops: {bf16: 1.0e+12}, scale_up_size: 8", "belong together"),
        ("flops: {bf17: 1.0e+12}", "bf17"),
        ("flops: {}", "at least 1 item"),
    ],
)
def test_a_wrong_device_is_refused(tmp_path: Path, change: str, message: str) -> None:
    path = tmp_path / "devices.yaml"
    path.write_text(
        "devices:\n  - {id: a, name: A, kind: gpu, memory_gib: 8, memory_bytes_per_s: 1.0e+11, names: [a],\n"
        f"     source: s, date: may 2024, {change}}}\n"
    )
    with pytest.raises(InputError, match=message):
        devices(path)
