"""From ratings to a better adapter: training on answers that people voted up or down (KTO, APO-zero)."""
