"""Group relative policy optimisation (https://arxiv.org/abs/2402.03300): of several answers to a prompt, those that are
better than the group's mean gain, by how many standard deviations they are."""

from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer

from tasks.train.stages.online import ReadyPrompts, online_stage


class _Trainer(ReadyPrompts, GRPOTrainer):
    """TRL's trainer on ready-made tokens."""


STAGE = online_stage("grpo", _Trainer, GRPOConfig)
