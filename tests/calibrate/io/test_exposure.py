import numpy as np
import pytest
from astropy.io import fits

from uptheramp.calibrate import flags
from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.io.exposure import open_exposure
from uptheramp.calibrate.io.times import DAY_S, mean_group_time
from uptheramp.calibrate.io.uncal import UncalWriter


def test_segments_read_back_bit_for_bit_whatever_the_chunk(write_uncal):
    paths, data = write_uncal(cuts=(3, 4))
    exposure = open_exposure(list(reversed(paths)))
    assert exposure.nints == 7
    assert exposure.root == "toy"
    for size in (1, 3, 7, 20):
        pieces = [np.asarray(ramps.data[:count]) for _, count, ramps in exposure.chunks(size)]
        np.testing.assert_array_equal(np.concatenate(pieces), data)


def test_chunks_have_one_shape_and_padding_is_do_not_use(write_uncal):
    paths, _ = write_uncal()
    chunks = list(open_exposure(paths).chunks(3))
    assert {ramps.data.shape for _, _, ramps in chunks} == {(3, 3, 32, 512)}
    first, count, last = chunks[-1]
    assert (first, count) == (6, 1)
    assert np.all(np.asarray(last.groupdq[1:]) == flags.DO_NOT_USE)
    assert np.all(np.asarray(last.groupdq[0]) == 0)
    np.testing.assert_array_equal(last.integration, [6, 7, 8])


def test_sample_takes_evenly_spaced_integrations(write_uncal):
    paths, data = write_uncal()
    count, read = open_exposure(paths).sample(3)
    sample = read(0, count)
    np.testing.assert_array_equal(sample.integration, [0, 3, 6])
    np.testing.assert_array_equal(np.asarray(sample.data), data[[0, 3, 6]])


def test_official_datamodels_open_what_we_write(write_uncal):
    datamodels = pytest.importorskip("stdatamodels.jwst.datamodels")
    paths, data = write_uncal()
    with datamodels.open(paths[0]) as model:
        assert type(model).__name__ == "Level1bModel"
        np.testing.assert_array_equal(np.asarray(model.data), data)
        assert model.meta.exposure.ngroups == 3
        assert model.meta.subarray.name == "SUB512"
        assert len(model.int_times) == 7


def test_mean_group_time_is_half_a_group_after_the_middle(prism, times_of):
    meta = prism()
    table = times_of(meta)
    late = (mean_group_time(table, meta) - table["int_mid_BJD_TDB"]) * DAY_S
    np.testing.assert_allclose(late, meta.frame_time_s / 2, atol=1e-5)


def test_an_error_while_writing_leaves_no_file(tmp_path, prism, times_of):
    meta = prism()
    path = tmp_path / "x_uncal.fits"
    with pytest.raises(RuntimeError), UncalWriter(path, meta, times_of(meta), np.zeros(1)) as file:
        file.append(np.zeros((2, 3, 32, 512), np.uint16))
        raise RuntimeError
    assert not list(tmp_path.iterdir())


def test_too_few_integrations_leave_no_file(tmp_path, prism, times_of):
    meta = prism()
    writer = UncalWriter(tmp_path / "x_uncal.fits", meta, times_of(meta), np.zeros(1))
    with pytest.raises(ValueError, match="2 integrations written, 7 announced"), writer as file:
        file.append(np.zeros((2, 3, 32, 512), np.uint16))
    assert not list(tmp_path.iterdir())


def edited(path, **cards):
    with fits.open(path, mode="update") as hdus:
        hdus[0].header.update(cards)
    return path


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda p: p.unlink() or p, "no such file"),
        (lambda p: p.write_bytes(p.read_bytes()[:400_000]) and p, "truncated"),
        (lambda p: p.write_text("hello") and p, "not a readable FITS"),
        (lambda p: edited(p, NGROUPS=0), "NGROUPS = 0"),
        (lambda p: edited(p, NINTS=0), "NINTS = 0"),
        (lambda p: edited(p, SUBARRAY="SUB9"), "SUB9"),
        (lambda p: edited(p, INSTRUME="HST"), "HST"),
        (lambda p: edited(p, SUBSIZE1=256), "512"),
        (lambda p: edited(p, INTEND=5), "INTSTART"),
    ],
)
def test_bad_files_are_refused_in_one_line_that_names_them(write_uncal, damage, says):
    path = write_uncal()[0][0]
    with pytest.raises(InputError, match=says) as caught:
        open_exposure([damage(path)])
    assert path.name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_keywords_are_named_at_once(write_uncal):
    path = write_uncal()[0][0]
    with fits.open(path, mode="update") as hdus:
        del hdus[0].header["TGROUP"], hdus[0].header["READPATT"]
    with pytest.raises(InputError, match="READPATT, TGROUP"):
        open_exposure([path])


def test_gaps_repeats_and_strangers_among_segments_are_refused(write_uncal, prism):
    paths, _ = write_uncal(cuts=(3, 5))
    with pytest.raises(InputError, match="give every segment once"):
        open_exposure([paths[0], paths[2]])
    with pytest.raises(InputError, match="give every segment once"):
        open_exposure([paths[0], paths[0]])
    other, _ = write_uncal(prism(ngroups=4), name="other")
    with pytest.raises(InputError, match="another exposure"):
        open_exposure([paths[0], other[0]])
