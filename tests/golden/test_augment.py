"""Crops, mirrored, turned and scaled images."""

import math

import torch

from golden.augment import RAND_GROUP, augment, erase, mix, rand_augment


def test_crops_and_mirrors():
    images = torch.randint(1, 256, (40, 3, 16, 16), generator=torch.Generator().manual_seed(1)).to(torch.uint8)
    result = augment(images, generator=torch.Generator().manual_seed(2))
    assert result.shape == images.shape
    assert torch.equal(result, augment(images, generator=torch.Generator().manual_seed(2)))
    padded = torch.nn.functional.pad(images, (2, 2, 2, 2))
    crops = set()
    for index in range(40):
        windows = padded[index].unfold(1, 16, 1).unfold(2, 16, 1)  # [3, 5, 5, 16, 16]
        straight, mirrored = (
            (candidates == result[index][:, None, None]).all(dim=4).all(dim=3).all(dim=0)
            for candidates in (windows, windows.flip(4))
        )
        assert int(straight.sum()) + int(mirrored.sum()) == 1
        crops.add((tuple(straight.flatten().tolist()), tuple(mirrored.flatten().tolist())))
    assert len(crops) > 20


def test_turned_and_scaled_by_hand():
    side, rotation, zoom = 16, 30.0, 0.2
    images = torch.randint(1, 256, (6, 2, side, side), generator=torch.Generator().manual_seed(1)).to(torch.uint8)
    settings = {"mirror": False, "rotation": rotation, "zoom": zoom}
    result = augment(images, generator=torch.Generator().manual_seed(2), **settings)
    assert torch.equal(result, augment(images, generator=torch.Generator().manual_seed(2), **settings))
    # The same draws in the same order: crops first.
    generator = torch.Generator().manual_seed(2)
    crops = augment(images, generator=generator, mirror=False)
    turns, sizes = ((2 * torch.rand(6, generator=generator) - 1).tolist() for _ in range(2))
    unclear = 0
    for index, (turn, size) in enumerate(zip(turns, sizes, strict=True)):
        angle, scale = math.radians(rotation * turn), 1 + zoom * size
        for row in range(side):
            for column in range(side):
                x, y = (2 * column + 1) / side - 1, (2 * row + 1) / side - 1
                source_x = (math.cos(angle) * x - math.sin(angle) * y) / scale
                source_y = (math.sin(angle) * x + math.cos(angle) * y) / scale
                place = [((value + 1) * side - 1) / 2 for value in (source_y, source_x)]
                if any(abs(value % 1 - 0.5) < 1e-3 for value in place):
                    unclear += 1
                    continue
                i, j = (round(value) for value in place)
                inside = 0 <= i < side and 0 <= j < side
                expected = crops[index, :, i, j].tolist() if inside else [0, 0]
                assert result[index, :, row, column].tolist() == expected
    assert unclear < 20


def test_frames_of_events_stay_bits():
    frames = (torch.rand(5, 4, 2, 36, 36, generator=torch.Generator().manual_seed(1)) < 0.1).to(torch.uint8)
    result = augment(frames, generator=torch.Generator().manual_seed(2), mirror=False, rotation=10.0, zoom=0.1)
    assert result.shape == frames.shape
    assert set(result.unique().tolist()) == {0, 1}
    assert 0.7 < float(result.sum() / frames.sum()) < 1.3


def test_a_rectangle_is_erased():
    images = torch.zeros(60, 3, 16, 16, dtype=torch.uint8)
    result = erase(images, share=0.5, generator=torch.Generator().manual_seed(2))
    assert torch.equal(result, erase(images, share=0.5, generator=torch.Generator().manual_seed(2)))
    erased = 0
    for image in result:
        # Noise may be 0 in a channel, hardly in all three.
        inside = image.ne(0).any(dim=0)
        if not inside.any():
            continue
        erased += 1
        rows, columns = (inside.any(dim=axis).nonzero().flatten() for axis in (1, 0))
        height, width = int(rows[-1] - rows[0]) + 1, int(columns[-1] - columns[0]) + 1
        assert 2 <= height <= 8
        assert 2 <= width <= 8
        assert inside[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
    assert 20 <= erased <= 40
    assert torch.equal(erase(images, share=0.0, generator=torch.Generator().manual_seed(2)), images)
    everywhere = erase(images, share=1.0, generator=torch.Generator().manual_seed(3))
    assert all(image.any() for image in everywhere)


def test_images_are_mixed():
    images = torch.randint(256, (8, 3, 4, 4), generator=torch.Generator().manual_seed(1)).to(torch.uint8)
    shares = []
    for seed in range(40):
        mixed, other, share = mix(images, alpha=0.4, generator=torch.Generator().manual_seed(seed))
        assert sorted(other.tolist()) == list(range(8))
        exact = share * images.double() + (1 - share) * images[other].double()
        assert (mixed.double() - exact).abs().max() <= 0.5 + 1e-4
        shares.append(float(share))
    # A beta distribution of 0.4 lies mostly at its ends, and around a half in the mean.
    assert 0.3 < sum(shares) / 40 < 0.7
    assert sum(share < 0.2 or share > 0.8 for share in shares) > 15


def test_rand_augment():
    images = torch.randint(256, (2 * RAND_GROUP + 3, 3, 16, 16), generator=torch.Generator().manual_seed(1))
    images = images.to(torch.uint8)
    before = torch.random.get_rng_state()

    def changed(seed, **settings):
        return rand_augment(images, generator=torch.Generator().manual_seed(seed), **settings)

    strong = {"operations": 2, "magnitude": 20}
    results = [changed(seed, **strong) for seed in range(6)]
    assert all(result.shape == images.shape and result.dtype == torch.uint8 for result in results)
    assert torch.equal(results[0], changed(0, **strong))
    assert len({tuple(result.flatten().tolist()) for result in results}) == 6
    # Nothing else that is random is disturbed.
    assert torch.equal(before, torch.random.get_rng_state())

    def distance(result):
        return (result.float() - images.float()).abs().mean()

    mild = [changed(seed, operations=1, magnitude=1) for seed in range(6)]
    assert 0 < sum(map(distance, mild)) < sum(map(distance, results))
