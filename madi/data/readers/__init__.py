"""Readers: one file a data set, each giving Sample rows."""
