"""Learners: how policies are trained under delay."""
