"""Attacks on a secure sum, by a server that lies, by parties that work with it, and by whoever changes messages."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from itertools import combinations, product

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import chisquare
from secure_sum_run import STEPS, Run, counted_bytes, make_plan, plain_sum, signing_keys, vectors

from sixfold.errors import InputError
from sixfold.parts.neighbour_graph import Topology
from sixfold.parts.secure_sum import Party, SecureSumPlan, SecureSumRefused, commitment
from sixfold.parts.secure_sum_messages import (
    SEALED_BYTES,
    SIGNATURE_BYTES,
    Step,
    joined,
    joined_confirmations,
    masked_statement,
    opened,
    parted,
    set_bytes,
    set_of,
    signed,
)
from sixfold.parts.shamir import SHARE_BYTES, combine


class Liar:
    """A server that has what all parties sent up to a step, and asks as it likes from there."""

    def __init__(self, plan: SecureSumPlan, withheld: dict[str, set[str]] | None = None) -> None:
        """withheld: from whom the server hides whose shares."""
        self.plan, self.run = plan, Run(plan)
        self.values = vectors(plan, 11)
        sent = self.run.shares(self.run.adverts())
        for name, hidden in (withheld or {}).items():
            items = parted(plan, sent[name], SEALED_BYTES, plan.neighbours[name], "shares")
            sent[name] = joined(plan, {other: item for other, item in items.items() if other not in hidden})
        self.masked = {name: self.run.parties[name].mask(self.values[name], sent[name]) for name in plan.parties}
        self.signatures: dict[frozenset[str], dict[str, bytes]] = {}

    def ask(self, name: str, survivors: set[str]) -> bool:
        """Have one party confirm one list; whether it did."""
        try:
            signature = self.run.parties[name].confirm(sorted(survivors))
        except SecureSumRefused:
            return False
        self.signatures.setdefault(frozenset(survivors), {})[name] = signature
        return True

    def forge(self, name: str, survivors: set[str]) -> None:
        """A party that works with the server signs any list."""
        key = signing_keys(self.plan.parties)[name]
        signature = signed(key, self.plan, Step.CONFIRMATION, name, set_of(self.plan, survivors))
        self.signatures.setdefault(frozenset(survivors), {})[name] = signature

    def unmask(self, name: str, survivors: set[str]) -> dict[str, bytes] | None:
        """The shares that a party gives away for a list, by their owners; None if it refuses."""
        statements = {}
        for other in survivors.intersection(self.plan.neighbours[name]):
            data, start = self.masked[other], SIGNATURE_BYTES + set_bytes(self.plan)
            partners = data[SIGNATURE_BYTES:start]
            statements[other] = data[:SIGNATURE_BYTES] + masked_statement(partners, memoryview(data)[start:])
        bundle = joined_confirmations(self.plan, self.signatures.get(frozenset(survivors), {}), statements)
        try:
            data = self.run.parties[name].unmask(bundle)
        except SecureSumRefused:
            return None
        return parted(self.plan, data[SIGNATURE_BYTES:], SHARE_BYTES, self.plan.parties, "shares")


# --- seeds ---------------------------------------------------------------------------------------------------------


def test_secrets_come_from_the_operating_system_and_have_256_bits() -> None:
    assert inspect.signature(Party).parameters["random_bytes"].default is os.urandom
    plan, drawn = make_plan(3), []

    def random_bytes(size: int) -> bytes:
        drawn.append(size)
        return os.urandom(size)

    Run(plan, random_bytes=random_bytes).total(vectors(plan, 1))
    assert min(drawn) >= 32
    assert drawn[:3] == [32, 32, 32]  # key for masks, key for shares, seed


def found_seed(masked: bytes) -> int | None:
    """What finds the seed of a small generator, over a part of its 2^32 seeds, when the vector is known to be zero."""
    for seed in range(3_000):
        mask = np.random.RandomState(seed).randint(0, 2**32 - 1, len(masked) // 4, dtype=np.int64)
        if mask.astype("<u4").tobytes() == masked:
            return seed
    return None


def test_trying_seeds_takes_off_masks_of_a_small_generator_and_none_of_ours() -> None:
    weak = np.random.RandomState(2_345).randint(0, 2**32 - 1, 4, dtype=np.int64).astype("<u4")
    assert found_seed(weak.tobytes()) == 2_345  # the attack works where there is something to find
    plan = make_plan(2, length=4)
    run = Run(plan)
    run.masked(run.shares(run.adverts()), {name: np.zeros(4, dtype="<u4") for name in plan.parties})
    for sender, _, step, data in run.transcript:
        if step == "masked" and sender != "server":
            assert found_seed(data[SIGNATURE_BYTES + set_bytes(plan) :]) is None


# --- a server that lies about who dropped out -----------------------------------------------------------------------


def test_a_party_confirms_one_list_of_survivors_only() -> None:
    liar = Liar(make_plan(5))
    a, b, c, d, _ = liar.plan.parties
    assert liar.ask(a, {a, b, c})
    assert not liar.ask(a, {a, b, d})
    assert not liar.ask(a, {a, b, c})  # nor the same one again


@pytest.mark.parametrize("colluding", [0, 1])
def test_of_all_ways_to_tell_parties_different_lists_none_gives_away_a_second_sum(colluding: int) -> None:
    """Every assignment of two lists to five parties; colluding ones sign both, and hand over all that they hold."""
    names = make_plan(5).parties
    victim, rest = names[0], names[1:]
    with_victim, without = set(names), set(rest)
    bad = set(names[5 - colluding :])
    most = 0
    for told in product((True, False), repeat=4):
        plan = SecureSumPlan.of(bytes(32), names, dropped=1, colluding=colluding, ring_bits=32, length=2)
        liar = Liar(plan)
        lists = {victim: with_victim, **{n: with_victim if t else without for n, t in zip(rest, told, strict=True)}}
        for name, survivors in lists.items():
            if name not in bad:
                assert liar.ask(name, survivors)
        for name in bad:
            liar.forge(name, with_victim)
            liar.forge(name, without)
        seeds = keys = len(bad)  # shares of the victim that the server has of either kind
        for name, survivors in lists.items():
            if name not in bad and liar.unmask(name, survivors) is not None:
                seeds += victim in survivors
                keys += victim not in survivors
        assert min(seeds, keys) < plan.topology.threshold, told
        most = max(most, seeds, keys)
    assert most >= plan.topology.threshold  # those that agree are answered


def test_both_kinds_of_shares_of_one_party_cannot_be_asked_for() -> None:
    liar = Liar(make_plan(3))
    everybody = set(liar.plan.parties)
    a, b, c = liar.plan.parties
    for name in everybody:
        assert liar.ask(name, everybody)
    assert liar.unmask(a, everybody) is not None
    assert liar.unmask(a, everybody) is None  # once
    assert liar.unmask(b, {b, c}) is None  # not what it confirmed


def test_a_list_is_not_unmasked_before_a_quorum_has_confirmed_it() -> None:
    liar = Liar(make_plan(5))
    everybody = set(liar.plan.parties)
    for name in liar.plan.parties[:2]:
        assert liar.ask(name, everybody)
    assert liar.unmask(liar.plan.parties[0], everybody) is None
    liar.signatures[frozenset(everybody)]["site004"] = bytes(64)
    assert liar.unmask(liar.plan.parties[0], everybody) is None
    # the signature of one party under the name of another
    liar.signatures[frozenset(everybody)]["site004"] = liar.signatures[frozenset(everybody)]["site001"]
    assert liar.unmask(liar.plan.parties[0], everybody) is None


def test_lists_of_too_few_or_without_oneself_are_not_confirmed() -> None:
    liar = Liar(make_plan(5))
    a, b, c, d, _ = liar.plan.parties
    party = liar.run.parties[a]
    for wrong in ([a, b], [b, c, d], [a, b, "stranger"], [a, a, b], [a], []):
        with pytest.raises(SecureSumRefused):
            party.confirm(wrong)


def test_a_victim_that_was_kept_from_its_neighbours_shares_is_not_unmasked() -> None:
    """Its vector has masks with parties that the server then calls lost; its other neighbours see that."""
    names = make_plan(5).parties
    victim, *others = names
    liar = Liar(make_plan(5), {victim: set(others[2:])})
    survivors = {victim, *others[1:]}
    assert not liar.ask(victim, survivors)  # it would see it itself
    for name in survivors - {victim}:
        assert liar.ask(name, survivors)
    assert [liar.unmask(name, survivors) for name in others[1:]] == [None] * 3


def test_survivors_that_fall_into_two_parts_are_not_confirmed() -> None:
    plan = make_plan(40, topology=Topology(degree=6, threshold=2, quorum=21, cut=1))
    on_ring = [plan.parties[at] for at in plan.order]
    lost = {*on_ring[:3], *on_ring[10:13]}
    survivors = [name for name in plan.parties if name not in lost]
    with pytest.raises(SecureSumRefused, match="hang together by 0"):
        plan.check(survivors)
    plan.check([*survivors, on_ring[1]])


def test_survivors_without_enough_holders_are_not_confirmed() -> None:
    plan = make_plan(40, topology=Topology(degree=6, threshold=5, quorum=21, cut=1))
    name = plan.parties[0]
    lost = plan.neighbours[name][:3]
    with pytest.raises(SecureSumRefused, match="holders"):
        plan.check([other for other in plan.parties if other not in lost])


# --- parties that work together -------------------------------------------------------------------------------------


def test_one_holder_less_than_the_threshold_cannot_unmask_a_party() -> None:
    """The victim's seed from what colluding holders were sent: no set of t - 1 shares gives what it committed to."""
    plan = make_plan(5)
    run = Run(plan)
    run.masked(run.shares(run.adverts()), vectors(plan, 1))
    victim, *others = plan.parties
    advert = next(data for sender, _, step, data in run.transcript if sender == victim and step == "advert")
    for kind in (0, 1):
        held = {plan.numbers[name] + 1: run.parties[name]._held[victim][kind] for name in others}
        for chosen in combinations(held, plan.topology.threshold - 1):
            try:
                secret = combine({x: held[x] for x in chosen})
            except InputError:
                continue
            assert commitment(plan, victim, secret) not in advert
            assert X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw() not in advert
        enough = {x: held[x] for x in list(held)[: plan.topology.threshold]}
        assert combine(enough) in (run.parties[victim]._seed, run.parties[victim]._mask_secret)


def test_wrong_shares_of_a_party_are_noticed_and_give_no_sum() -> None:
    plan = make_plan(3)
    liar = plan.parties[0]
    key = signing_keys(plan.parties)[liar]

    def change(sender: str, receiver: str, step: str, data: bytes) -> bytes:
        if (sender, step) != (liar, "unmasking"):
            return data
        body = bytearray(data[SIGNATURE_BYTES:])
        body[10] ^= 1
        return signed(key, plan, Step.UNMASKING, liar, bytes(body)) + bytes(body)

    run = Run(plan, change=change)
    with pytest.raises(SecureSumRefused, match="do not give what it advertised"):
        run.total(vectors(plan, 1))


def test_a_key_that_agrees_on_no_secret_is_refused() -> None:
    """A public point of small order makes the agreed secret known to everybody."""
    plan = make_plan(3)
    liar, victim = plan.parties[:2]
    body = bytes(96)
    advert = signed(signing_keys(plan.parties)[liar], plan, Step.ADVERT, liar, body) + body
    party = Run(plan).parties[victim]
    party.advertise()
    with pytest.raises(SecureSumRefused, match="agrees on no secret"):
        party.share(joined(plan, {liar: advert}))


# --- replayed, redirected and changed messages ------------------------------------------------------------------------


@pytest.mark.parametrize("step", STEPS)
def test_messages_of_an_earlier_session_count_as_no_answer(step: str) -> None:
    """The same keys, parties and values: only the session is another."""
    old, new = make_plan(5, number=1), make_plan(5, number=2)
    values, before = vectors(old, 4), Run(old)
    before.total(values)
    replayed = old.parties[0]
    stored = {(sender, sent_step): data for sender, _, sent_step, data in before.transcript if sender != "server"}

    def change(sender: str, receiver: str, at_step: str, data: bytes) -> bytes:
        return stored[sender, step] if (sender, at_step) == (replayed, step) else data

    run = Run(new, change=change)
    total = run.total(values)
    assert replayed in run.server.refused
    lost = STEPS.index(step) <= STEPS.index("masked")
    survivors = [name for name in new.parties if not (lost and name == replayed)]
    assert total.tolist() == plain_sum(new, values, survivors).tolist()


@pytest.mark.parametrize("step", ["shares", "masked", "unmasking"])
def test_what_the_server_replays_from_an_earlier_session_is_refused(step: str) -> None:
    old, new = make_plan(4, number=1), make_plan(4, number=2)
    before = Run(old)
    before.total(vectors(old, 4))
    stored = {
        (receiver, sent_step): data for sender, receiver, sent_step, data in before.transcript if sender == "server"
    }

    def change(sender: str, receiver: str, at_step: str, data: bytes) -> bytes:
        return stored[receiver, step] if (sender, at_step) == ("server", step) else data

    with pytest.raises(SecureSumRefused, match="session"):
        Run(new, change=change).total(vectors(new, 4))


def test_adverts_and_shares_of_one_party_do_not_pass_for_those_of_another() -> None:
    plan = make_plan(4)
    run = Run(plan)
    a, b, c, d = plan.parties
    adverts = {name: run.parties[name].advertise() for name in plan.parties}
    with pytest.raises(SecureSumRefused, match="not signed by"):
        run.parties[a].share(joined(plan, {b: adverts[c], c: adverts[b], d: adverts[d]}))
    shares = run.server.shares({n: run.parties[n].share(data) for n, data in run.server.adverts(adverts).items()})
    for_a = parted(plan, shares[a], SEALED_BYTES, plan.neighbours[a], "shares")
    for_d = parted(plan, shares[d], SEALED_BYTES, plan.neighbours[d], "shares")
    values = vectors(plan, 1)[a]
    for wrong in ({**for_a, b: for_a[c]}, {**for_a, b: for_d[b]}, {**for_a, d: for_d[a]}):
        with pytest.raises(SecureSumRefused, match="not encrypted by it"):
            run.parties[a].mask(values, joined(plan, wrong))
    run.parties[a].mask(values, shares[a])
    with pytest.raises(SecureSumRefused, match="out of turn"):
        run.parties[a].mask(values + values.dtype.type(1), shares[a])  # the difference would be seen


@pytest.mark.parametrize("other", ["session", "length", "parties"])
def test_parties_that_were_told_different_plans_do_not_work_together(other: str) -> None:
    plan = make_plan(3)
    told = {"session": make_plan(3, number=7), "length": make_plan(3, length=9), "parties": make_plan(4)}[other]
    key = signing_keys(told.parties)
    victim = Party("site000", told, key["site000"], {name: k.public_key() for name, k in key.items()})
    victim.advertise()
    others = Run(plan).parties
    adverts = {name: others[name].advertise() for name in ("site001", "site002")}
    with pytest.raises(SecureSumRefused, match="not signed"):
        victim.share(joined(told, adverts))


def test_a_signature_is_for_one_step_of_one_party_in_one_plan() -> None:
    plan, key = make_plan(3), signing_keys(["site000"])["site000"]
    roster = dict.fromkeys(plan.parties, key.public_key())  # even if two parties had the same key
    statement = bytes(96)
    data = signed(key, plan, Step.ADVERT, "site000", statement) + statement
    assert opened(roster, plan, Step.ADVERT, "site000", data, len(data)) == statement
    others = [(plan, step, "site000") for step in Step if step is not Step.ADVERT]
    others += [(plan, Step.ADVERT, "site001"), (make_plan(3, number=2), Step.ADVERT, "site000")]
    for other_plan, step, sender in others:
        with pytest.raises(SecureSumRefused, match="replayed or changed"):
            opened(roster, other_plan, step, sender, data, len(data))


def test_a_party_that_lost_shares_on_the_way_is_left_out_of_the_sum() -> None:
    """Its vector lacks the mask of a neighbour that has added theirs: with it the sum would be noise."""
    plan = make_plan(5)
    late = plan.parties[1]

    def change(sender: str, receiver: str, step: str, data: bytes) -> bytes:
        return data[: -(2 + SEALED_BYTES)] if (sender, receiver, step) == ("server", late, "masked") else data

    values, run = vectors(plan, 1), Run(plan, change=change)
    total = run.total(values)
    assert "masked with others" in run.server.refused[late]
    assert total.tolist() == plain_sum(plan, values, [name for name in plan.parties if name != late]).tolist()


@given(st.sampled_from(STEPS), st.booleans(), st.integers(0, 10_000), st.integers(0, 7), st.booleans())
@settings(max_examples=80)
def test_a_changed_message_gives_the_sum_of_the_others_or_none(
    step: str, from_server: bool, position: int, bit: int, cut: bool
) -> None:
    plan = make_plan(3)
    target = plan.parties[1]
    changed = []

    def change(sender: str, receiver: str, at_step: str, data: bytes) -> bytes:
        if at_step != step or (receiver if from_server else sender) != target or (sender == "server") != from_server:
            return data
        changed.append(at_step)
        if cut:
            return data[: position % len(data)]
        place = position % len(data)
        return data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :]

    values, run = vectors(plan, 2), Run(plan, change=change)
    try:
        total = run.total(values)
    except SecureSumRefused:
        assert changed
        return
    assert total.tolist() == plain_sum(plan, values, run.server.survivors).tolist()
    if changed and STEPS.index(step) <= STEPS.index("masked"):
        assert target not in run.server.survivors


@given(st.binary(max_size=400) | st.none() | st.integers())
def test_any_bytes_at_any_step_are_refused_with_one_kind_of_error(data: object) -> None:
    plan = make_plan(3)
    run = Run(plan)
    party, values = run.parties[plan.parties[0]], vectors(plan, 1)
    asked: list[Callable[[object], object]] = [
        party.share,
        lambda junk: party.mask(values[party.me], junk),  # type: ignore[arg-type]
        lambda junk: party.confirm([party.me, str(junk)]),
        party.unmask,
    ]  # type: ignore[list-item]
    sent = run.adverts()
    with pytest.raises(SecureSumRefused):
        asked[0](data)
    sent = run.shares(sent)
    with pytest.raises(SecureSumRefused):
        asked[1](data)
    survivors = run.masked(sent, values)
    with pytest.raises(SecureSumRefused):
        asked[2](data)
    confirmed = run.confirmations(survivors)
    with pytest.raises(SecureSumRefused):
        asked[3](data)
    assert run.unmask(confirmed).tolist() == plain_sum(plan, values, survivors).tolist()


@pytest.mark.parametrize("step", ["shares", "masked", "unmasking"])
def test_messages_that_are_too_long_are_refused_before_they_are_read(step: str) -> None:
    plan = make_plan(3)

    def change(sender: str, receiver: str, at_step: str, data: bytes) -> bytes:
        return data * 50 if (sender, at_step) == ("server", step) else data

    with pytest.raises(SecureSumRefused, match="expected at most"):
        Run(plan, change=change).total(vectors(plan, 1))


# --- what a server sees ----------------------------------------------------------------------------------------------


def masked_vectors(plan: SecureSumPlan, values: dict[str, NDArray[np.uint32]], seed: int) -> dict[str, bytes]:
    """What the server is sent as vectors."""
    run = Run(plan, random_bytes=counted_bytes(seed))
    run.masked(run.shares(run.adverts()), values)
    start = SIGNATURE_BYTES + set_bytes(plan)
    up = [(sender, data) for sender, _, step, data in run.transcript if step == "masked" and sender != "server"]
    return {sender: data[start:] for sender, data in up}


def uniform_p(data: bytes) -> float:
    """Of the hypothesis that every byte is as likely."""
    return float(chisquare(np.bincount(np.frombuffer(data, dtype=np.uint8), minlength=256)).pvalue)


def test_masked_vectors_look_uniform_even_when_all_values_are_zero() -> None:
    plan = make_plan(4, length=25_000)
    zeros = {name: np.zeros(plan.length, dtype="<u4") for name in plan.parties}
    seen = masked_vectors(plan, zeros, 1)
    arrays = {name: np.frombuffer(data, dtype="<u4") for name, data in seen.items()}
    for name, data in seen.items():
        assert uniform_p(data) > 1e-4, name
    for one, other in combinations(arrays, 2):  # nor do two of them cancel
        assert uniform_p((arrays[one] + arrays[other]).tobytes()) > 1e-4
        assert uniform_p((arrays[one] - arrays[other]).tobytes()) > 1e-4
    # the sum of all keeps every own mask
    assert uniform_p(sum(arrays.values()).tobytes()) > 1e-4


def test_two_sessions_with_the_same_inputs_have_unrelated_masked_vectors() -> None:
    plan = make_plan(3, length=25_000)
    values = vectors(plan, 1)
    first = masked_vectors(plan, values, 1)
    again = masked_vectors(plan, values, 2)  # other secrets, the same session: still unrelated
    other = masked_vectors(make_plan(3, length=25_000, number=2), values, 1)  # the same secrets, another session
    for second in (again, other):
        for name in plan.parties:
            difference = np.frombuffer(first[name], dtype="<u4") - np.frombuffer(second[name], dtype="<u4")
            assert uniform_p(difference.tobytes()) > 1e-4


def test_nothing_that_passes_the_server_contains_a_piece_of_a_vector_or_a_secret_in_the_clear() -> None:
    plan = make_plan(4, length=500)
    values, run = vectors(plan, 1), Run(plan, {"site003": "masked"})
    run.total(values)
    everything = b"|".join(data for *_, data in run.transcript)
    pieces = {everything[at : at + 8] for at in range(len(everything) - 7)}
    for name, party in run.parties.items():
        raw = values[name].tobytes()
        assert not any(raw[at : at + 8] in pieces for at in range(0, len(raw) - 7, 4))
        for secret in (party._seed, party._mask_secret, party._share_key.private_bytes_raw()):
            assert secret[:8] not in pieces
    assert values["site000"].tobytes()[:8] not in pieces


def test_a_share_of_a_survivors_key_never_leaves() -> None:
    plan = make_plan(4)
    run = Run(plan, {"site003": "masked"})
    run.total(vectors(plan, 1))
    given = b"".join(data for sender, _, step, data in run.transcript if step == "unmasking" and sender != "server")
    for holder in plan.parties[:3]:
        for owner, (seed, key) in run.parties[holder]._held.items():
            assert (seed in given, key in given) == (owner != "site003", owner == "site003")
