"""The rows that are the truth: requests, steps, deliveries, links, findings, audit.

Functions take a SQLAlchemy connection, so that a step commits its status, findings, audit row and next step together.
"""
