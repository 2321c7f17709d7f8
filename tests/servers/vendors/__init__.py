"""Servers that behave as the large vendors' do: each on `vendor.Vendor`, each habit with the source it is known from."""
