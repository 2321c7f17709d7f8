"""``second-opinion demo``: one synthetic second opinion travels the whole loop over real HTTP.

``run`` starts the Exchange and tells what happens, ``placer`` plays the primary care EHR over FHIR, ``play`` the people at the pages
(by ``visitor``), ``people`` lets them in. ``consultant`` is a consulting provider's system, a script that speaks FHIR only.
``make_chart`` made what is in ``data``.
"""
