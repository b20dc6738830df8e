"""The training stages by name. A new one is a module with a `STAGE` (see contract.py), a line here, and settings."""

from tasks.train.stages import cpt, distill, dpo, grpo, kto, orpo, reward, rloo, sft
from tasks.train.stages.contract import Stage

STAGES: dict[str, Stage] = {
    module.STAGE.name: module.STAGE for module in (cpt, sft, distill, dpo, kto, orpo, reward, grpo, rloo)
}
