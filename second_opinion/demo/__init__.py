"""``second-opinion demo``: one synthetic second opinion travels the whole loop over real HTTP.

``run`` starts the Exchange and tells what happens, ``placer`` plays the primary care EHR, ``consultant`` (a script that
speaks FHIR only) the consulting provider. ``make_chart`` made what is in ``data``.
"""
