"""The vocabulary of a distributed AI system: the words every other module and every report uses."""

from enum import StrEnum


class Axis(StrEnum):
    """One of the six ways in which a system can be distributed."""

    DATA = "data"
    TRAINING = "training"
    MODEL = "model"
    INFERENCE = "inference"
    CLUSTER = "cluster"
    INTELLIGENCE = "intelligence"


class Ceiling(StrEnum):
    """The limit of one machine that forces a system to be distributed."""

    DATA = "data"  # the data exceeds a node's memory or disk
    MODEL = "model"  # the parameters exceed a device
    THROUGHPUT = "throughput"  # the requests exceed a server
    COORDINATION = "coordination"  # there are inherently many deciders
    TRUST = "trust"  # the data may not move


class Topology(StrEnum):
    """Who coordinates whom."""

    CENTRALIZED = "centralized"
    DECENTRALIZED = "decentralized"
    HYBRID = "hybrid"


class Mode(StrEnum):
    """When the work arrives and how long its result may take."""

    BATCH = "batch"
    STREAMING = "streaming"
    ONLINE = "online"
    INTERACTIVE = "interactive"


class Metric(StrEnum):
    """What a system is judged by: one is optimised, the others are constraints."""

    THROUGHPUT = "throughput"
    LATENCY = "latency"
    COST = "cost"
    RELIABILITY = "reliability"


class Tax(StrEnum):
    """What distribution costs."""

    COMMUNICATION = "communication"
    FAILURE = "failure"


class Slot(StrEnum):
    """A decision that every distributed design has to make."""

    PARTITION = "partition"
    COMMUNICATION = "communication"
    CONSISTENCY = "consistency"
    COORDINATION = "coordination"
    FAULT_TOLERANCE = "fault tolerance"
    LOAD_BALANCING = "load balancing"
