"""The vocabulary of a distributed AI system: the words every other module and every report uses."""

from enum import StrEnum


class Axis(StrEnum):
    """One of the six ways in which a system can be distributed."""

    DATA = "data"  # what is stored and read is divided
    TRAINING = "training"  # the work of learning is divided: batches, steps, rounds
    MODEL = "model"  # the parameters are divided
    INFERENCE = "inference"  # the questions are divided
    CLUSTER = "cluster"  # the machines: which, how many, on what terms, what if one fails
    INTELLIGENCE = "intelligence"  # the deciding is divided


class Ceiling(StrEnum):
    """The limit of one machine that forces a system to be distributed."""

    DATA = "data"  # the data exceeds a node's memory or disk
    MODEL = "model"  # the parameters exceed a device
    THROUGHPUT = "throughput"  # the requests exceed a server
    COORDINATION = "coordination"  # there are inherently many deciders
    TRUST = "trust"  # the data may not move


class Topology(StrEnum):
    """Who coordinates whom."""

    CENTRALIZED = "centralized"  # one coordinator
    DECENTRALIZED = "decentralized"  # every node decides, with those it can reach
    HYBRID = "hybrid"  # a coordinator leads nodes that decide, or keep, some things themselves


class Mode(StrEnum):
    """When the work arrives and how long its result may take."""

    BATCH = "batch"  # all input is there; the result may take hours
    STREAMING = "streaming"  # input never ends; results follow within seconds or minutes
    ONLINE = "online"  # a program waits for each answer, milliseconds
    INTERACTIVE = "interactive"  # a person waits for each answer, seconds


class Metric(StrEnum):
    """What a system is judged by: one is optimised, the others are constraints."""

    THROUGHPUT = "throughput"  # useful work a second
    LATENCY = "latency"  # from asking to answer, a high quantile
    COST = "cost"  # dollars for a unit of useful work
    RELIABILITY = "reliability"  # the share of time, or of requests, that is served


class Tax(StrEnum):
    """What distribution costs."""

    COMMUNICATION = "communication"  # moving bytes, and waiting for them
    FAILURE = "failure"  # work done again, spares, and what is not done meanwhile


class Slot(StrEnum):
    """A decision that every distributed design has to make."""

    PARTITION = "partition"  # what is divided, by what
    COMMUNICATION = "communication"  # who sends what to whom
    CONSISTENCY = "consistency"  # how far copies may differ
    COORDINATION = "coordination"  # who decides
    FAULT_TOLERANCE = "fault tolerance"  # what happens when something fails
    LOAD_BALANCING = "load balancing"  # who gets the next piece of work
