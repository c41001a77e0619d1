"""Laws: pure functions of numbers or numpy arrays, each with its units and its source.

Symbols:
    p: nodes, or workers, that share the work
    T(p): time of the work, or of one unit of it, on p nodes; T(1): of the fastest single-process version
    S(p): speed-up, T(1) / T(p)
    E(p): efficiency, S(p) / p; 1 where p nodes waste nothing
    p*: the number of nodes at which T(p) is least
    s: share of the work that cannot be divided
    c: what one more node adds to T(p)
    alpha: start-up time of a message, seconds
    beta: time of one byte on a link, seconds; 1 / bandwidth
    n: bytes of a message, or things that are counted
    lambda: arrivals a second
    rho: utilisation of servers
    W: time in a service, line included; L: how many are in it
    q: level of a quantile; p99 is the quantile .99
    M: mean time between failures of a whole job
    r: share of time that one node is up
    epsilon, delta: how much one record may change what is published under differential privacy, and the chance of more
    sigma: standard deviation, of noise or of the logarithm of a latency
    theta: parameters of a model
    R, K: rounds of a federation, and clients in each
    lambda2: second eigenvalue: how fast gossip mixes, whether a graph hangs together
    MAPE: mean of |predicted / measured - 1|; bias: median of predicted / measured - 1
    regret: how much worse what a prediction chose was than the best that was measured
"""
