"""Run Stages 1 to 3 of the official pipeline on one Level-1b file in one process; print what happened as JSON.

python official_stages.py CACHE UNCAL OUT JOB, with JOB a JSON object: `stages` (of detector1, spec2, image2, tso3, in
order) and `steps` (stage -> step -> parameters). CACHE is a local CRDS cache with its mappings.
"""

import json
import os
import sys
import time
import warnings
from pathlib import Path


def environment(cache: Path) -> None:
    """Point the CRDS client at the cache, before anything imports it."""
    os.environ |= {
        "CRDS_PATH": str(cache),
        "CRDS_SERVER_URL": "https://crds-serverless-mode.stsci.edu",
        "CRDS_CONTEXT": "jwst_9000.pmap",
        "CRDS_OBSERVATORY": "jwst",
        "CRDS_READONLY_CACHE": "1",
        "STPIPE_DISABLE_CRDS_STEPPARS": "true",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }


def association(products: list[Path], path: Path) -> Path:
    """Write the association that Stage 3 takes."""
    from jwst.associations.asn_from_list import asn_from_list
    from jwst.associations.lib.rules_level3_base import DMS_Level3_Base

    names = [str(product.resolve()) for product in products]
    made = asn_from_list(names, rule=DMS_Level3_Base, product_name=products[0].name.replace("_calints.fits", ""))
    path.write_text(made.dump(format="json")[1])
    return path


def main(cache: str, uncal: str, out: str, job: str) -> None:
    environment(Path(cache))
    warnings.filterwarnings("ignore")
    from jwst import pipeline
    from stpipe import crds_client

    classes = {
        "detector1": pipeline.Detector1Pipeline,
        "spec2": pipeline.Spec2Pipeline,
        "image2": pipeline.Image2Pipeline,
        "tso3": pipeline.Tso3Pipeline,
    }
    inputs = {"spec2": "*_rateints.fits", "image2": "*_rateints.fits", "tso3": "*_calints.fits"}
    found: dict[str, str] = {}
    original = crds_client.get_multiple_reference_paths

    def spy(*arguments):
        paths = original(*arguments)
        found.update({name: Path(path).name for name, path in paths.items()})
        return paths

    crds_client.get_multiple_reference_paths = spy
    work, seconds = json.loads(job), {}
    for stage in work["stages"]:
        if stage == "detector1":
            source = Path(uncal)
        else:
            (source,) = Path(out).glob(inputs[stage])
        if stage == "tso3":
            source = association([source], Path(out) / "tso3_asn.json")
        start = time.process_time()
        classes[stage].call(str(source), output_dir=out, save_results=True, steps=work.get("steps", {}).get(stage, {}))
        seconds[stage] = round(time.process_time() - start, 2)
    print("RESULT " + json.dumps({"cpu_s": seconds, "references": found}))  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
