"""The register map: what is made of the description is what is in the project."""

import pytest
from systemrdl import RDLCompiler

from hw.soc.map import Kind
from scripts.registers import ROOT, compile_registers, exported, field_kind


def test_generated_files_are_up_to_date():
    for name, text in exported(compile_registers()).items():
        assert (ROOT / name).read_text() == text, f"{name}: run `python -m scripts.registers`"


@pytest.mark.parametrize(
    ("properties", "kind"),
    [
        ("sw = r; hw = na; reset = 1;", Kind.CONSTANT),
        ("sw = r; hw = w;", Kind.VALUE),
        ("sw = r; hw = w; swacc;", Kind.TAKEN),
        ("sw = rw; hw = r;", Kind.STORED),
        ("sw = w; hw = r; singlepulse; reset = 0;", Kind.PULSE),
        ("sw = w; hw = r; swmod;", Kind.PUSHED),
    ],
)
def test_properties_decide_what_a_field_is(tmp_path, properties, kind):
    assert field_kind(sample(tmp_path, properties)) is kind


def test_a_field_that_the_hardware_does_not_have(tmp_path):
    with pytest.raises(ValueError, match=r"sample\.only.field: the hardware has no field with such properties"):
        field_kind(sample(tmp_path, "sw = rw; hw = rw; we;"))


def sample(folder, properties):
    """The only field of a map."""
    path = folder / "sample.rdl"
    path.write_text(f"addrmap sample {{ reg {{ field {{ {properties} }} \\field[1]; }} only @ 0; }};")
    compiler = RDLCompiler()
    compiler.compile_file(str(path))
    (register,) = compiler.elaborate().top.registers()
    (field,) = register.fields()
    return field
