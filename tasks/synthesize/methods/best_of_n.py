"""Best of n: several answers to a real prompt, of which the best is learned; also called rejection sampling.

Source: Touvron et al., "Llama 2", 2023 (https://arxiv.org/abs/2307.09288), section 3.2.3, and Dong et al., "RAFT", 2023
(https://arxiv.org/abs/2304.06767). Who tells good from bad is synthesize.judge: the reward head that users' feedback
trained, or a language model.
"""

import logging
from collections.abc import Iterator

from configs.settings import SynthesizeSettings
from tasks.inference.client import Client
from tasks.synthesize.candidates import Candidates, sample_answers, scorer
from tasks.synthesize.method import Draft, Dropped, Losses, Seed, Seeds, assistant, pick, rounds

log = logging.getLogger(__name__)


def best_of_n(
    seeds: Seeds, count: int, settings: SynthesizeSettings, client: Client, seed: int
) -> Iterator[Draft | Dropped | Losses]:
    """See `tasks.synthesize.method.Method`. Without a reward head that should choose it makes nothing."""
    if settings.judge == "reward" and seeds.head is None:
        log.warning("synthesize: best_of_n is left out: no reward head was trained yet; synthesize.judge names others")
        return
    score = scorer(settings.judge, seeds.head, client, seed)
    for positions in rounds(count):
        chosen = pick(seeds.conversations, positions, seed, "best_of_n")
        prompts = [(str(position), one.messages[:-1]) for position, one in zip(positions, chosen, strict=False)]
        candidates, unsound = sample_answers(prompts, settings, client, seed)
        scored, unclear = score(candidates)
        yield Losses(unsound + unclear)
        for one, sampled, rated in zip(chosen, candidates, scored, strict=True):
            yield _best(one, sampled, rated)


def _best(seed: Seed, sampled: Candidates, rated: Candidates) -> Draft | Dropped:
    texts = "\n\n".join(sampled.answers)
    if len(rated.answers) < 2:
        return Dropped("too_few_answers" if len(sampled.answers) < 2 else "judge_not_understood", texts)
    best = max(rated.scores)
    if best == min(rated.scores):
        return Dropped("answers_agree", texts)
    answer = rated.answers[rated.scores.index(best)]
    return Draft((*seed.messages[:-1], assistant(answer)), (seed,), details={"score": best, "of": len(rated.answers)})
