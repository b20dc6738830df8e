"""REINFORCE leave-one-out (https://arxiv.org/abs/2402.14740): of several answers to a prompt, each gains by how much
better it is than the others' mean. It takes the place of PPO, without a value model."""

from trl.trainer.rloo_config import RLOOConfig
from trl.trainer.rloo_trainer import RLOOTrainer

from tasks.train.stages.online import ReadyPrompts, online_stage


class _Trainer(ReadyPrompts, RLOOTrainer):
    """TRL's trainer on ready-made tokens."""


STAGE = online_stage("rloo", _Trainer, RLOOConfig)
