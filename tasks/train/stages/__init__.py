"""The training stages by name. A new one is a module with a `STAGE` (see contract.py) and a line here."""

from tasks.train.stages import cpt, dpo, kto, sft
from tasks.train.stages.contract import Stage

STAGES: dict[str, Stage] = {module.STAGE.name: module.STAGE for module in (cpt, sft, dpo, kto)}
