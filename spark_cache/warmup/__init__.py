"""Fill a cache before its entries are needed, and estimate what that costs."""

from spark_cache.warmup.cost import Estimate, estimate
from spark_cache.warmup.run import Failure, WarmUp, arguments_of, warm

__all__ = ["Estimate", "Failure", "WarmUp", "arguments_of", "estimate", "warm"]
