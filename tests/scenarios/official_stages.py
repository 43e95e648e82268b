"""Run Stages 1 to 3 of the official pipeline on one Level-1b file in one process; print what happened as JSON.

python official_stages.py JOB, with JOB a JSON file: `harness` (folder of fake_crds.py), `cache` (to be made), `entries`
(references, with the keys that choose them), `uncal`, `out`, `stages` (of detector1, spec2, image2, tso3, in order) and
`steps` (stage -> step -> parameters).
"""

import json
import os
import sys
import time
import warnings
from pathlib import Path

INPUTS = {"spec2": "*_rateints.fits", "image2": "*_rateints.fits", "tso3": "*_calints.fits"}


def association(product: Path, path: Path) -> Path:
    """Write the association that Stage 3 takes."""
    from jwst.associations.asn_from_list import asn_from_list
    from jwst.associations.lib.rules_level3_base import DMS_Level3_Base

    name = product.name.removesuffix("_calints.fits")
    made = asn_from_list([str(product.resolve())], rule=DMS_Level3_Base, product_name=name)
    path.write_text(made.dump(format="json")[1])
    return path


def main(job: dict) -> dict:
    """Return the references that were chosen and the CPU seconds of each stage."""
    sys.path.insert(0, job["harness"])
    import fake_crds

    out = Path(job["out"])
    # before anything imports the client
    os.environ.update(fake_crds.env(job["cache"]))
    os.environ.update({"STPIPE_DISABLE_CRDS_STEPPARS": "true", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"})
    warnings.filterwarnings("ignore")
    entries = [entry | {"path": Path(entry["path"])} for entry in job["entries"]]
    fake_crds.build(job["cache"], entries, fake_crds.all_reftypes())
    from jwst import pipeline
    from stpipe import crds_client

    classes = {
        "detector1": pipeline.Detector1Pipeline,
        "spec2": pipeline.Spec2Pipeline,
        "image2": pipeline.Image2Pipeline,
        "tso3": pipeline.Tso3Pipeline,
    }
    found: dict[str, str] = {}
    original = crds_client.get_multiple_reference_paths

    def spy(*arguments):
        paths = original(*arguments)
        found.update({name: Path(path).name for name, path in paths.items() if path != "N/A"})
        return paths

    crds_client.get_multiple_reference_paths = spy
    seconds = {}
    for stage in job["stages"]:
        source = next(out.glob(INPUTS[stage])) if stage in INPUTS else Path(job["uncal"])
        if stage == "tso3":
            source = association(source, out / "tso3_asn.json")
        start = time.process_time()
        steps = job.get("steps", {}).get(stage, {})
        classes[stage].call(str(source), output_dir=str(out), save_results=True, steps=steps)
        seconds[stage] = round(time.process_time() - start, 2)
    return {"cpu_s": seconds, "references": found}


if __name__ == "__main__":
    print("RESULT " + json.dumps(main(json.loads(Path(sys.argv[1]).read_text()))))  # noqa: T201
