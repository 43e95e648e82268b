"""Install the four rooms under one name: the folder `simulate/` is imported as `uptheramp.simulate`."""

from setuptools import find_namespace_packages, setup

ROOMS = ("calibrate", "simulate", "validate", "scenarios")
folders = find_namespace_packages(include=[*ROOMS, *(f"{room}.*" for room in ROOMS)])
setup(
    packages=[f"uptheramp.{folder}" for folder in folders],
    package_dir={f"uptheramp.{room}": room for room in ROOMS},
    package_data={"": ["*.toml", "*.csv", "*.npz", "*.html", "*.css", "*.js", "py.typed"]},
)
