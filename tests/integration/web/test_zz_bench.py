import time, pytest
from sqlalchemy import text
SQL = """
INSERT INTO requests (id, key, placer, fulfiller, status, priority, body, body_sha256, patient_hash, records_due_at, created_at)
 SELECT 'r'||lpad(to_hex(n),20,'0'), 'k'||n, 'alice', CASE n%2 WHEN 0 THEN 'mercy' ELSE 'bob' END, 'in-progress','routine','{}','x', md5((n%50000)::text), now()+ (n%400-50)*interval '1 hour', now()-(n%365)*interval '1 day' FROM generate_series(1,300000) n;
INSERT INTO deliveries (id, request_id, endpoint, kind, version, status, updated_at)
 SELECT 'd'||n, 'r'||lpad(to_hex(n%300000+1),20,'0'), 'mercy','records', n/300000+1, 'verified', now()-n*interval '1 second' FROM generate_series(1,1000000) n;
INSERT INTO steps (request_id, kind, endpoint, status, attempts, finished_at, deadline)
 SELECT 'r'||lpad(to_hex(n%300000+1),20,'0'), 'push_records', CASE n%2 WHEN 0 THEN 'mercy' ELSE 'bob' END, 'done', 0, now()-(n/10)*interval '1 second', now()+ (n%400-50)*interval '1 hour' FROM generate_series(1,1000000) n;
INSERT INTO steps (request_id, kind, endpoint, status, attempts, cause, message, next_attempt_at, deadline, first_attempt_at)
 SELECT 'r'||lpad(to_hex(n),20,'0'), CASE WHEN n%20<3 THEN 'push_records' ELSE 'watch_fulfiller' END, CASE n%2 WHEN 0 THEN 'mercy' ELSE 'bob' END,
 CASE WHEN n%20=0 THEN 'parked' WHEN n%20<3 THEN 'waiting' WHEN n%20=4 THEN 'due' ELSE 'waiting' END, CASE WHEN n%20<3 THEN 2 ELSE 0 END,
 CASE WHEN n%20<3 THEN (ARRAY['timeout','http-503','http-422','record-partial','patient-similar'])[n%5+1] END, 'no answer', now()+interval '1 hour', now()+ (n%400-50)*interval '1 hour', now() FROM generate_series(1,100000) n;
INSERT INTO attempts (step_id, request_id, kind, endpoint, lease_no, started_at, finished_at, outcome, cause)
 SELECT n, 'r'||lpad(to_hex(n%300000+1),20,'0'), 'push_records', CASE n%2 WHEN 0 THEN 'mercy' ELSE 'bob' END, 1, now()-n*interval '1 second', now()-n*interval '1 second', 'temporary', (ARRAY['timeout','http-503','http-422',NULL,NULL])[n%5+1] FROM generate_series(1,500000) n;
"""
def test_bench(site):
    conn = site.engine.raw_connection()
    conn.autocommit = True if hasattr(conn,'autocommit') else None
    with site.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as c:
        t0=time.time()
        for q in SQL.strip().split(";\n"):
            if q.strip(): c.execute(text(q.strip().rstrip(";")))
        c.execute(text("VACUUM ANALYZE"))
        print("loaded", time.time()-t0)
    rid='r'+hex(777)[2:].rjust(20,'0')
    import hashlib
    ph=hashlib.md5(b"5").hexdigest()
    for a in ["/", "/?q=state:parked", "/?q=state:parked endpoint:mercy error:timeout due:<3d", f"/?q=state:all patient:{ph}", f"/?q=state:all request:{rid}", "/?q=state:all request:r0000", "/?q=state:done", "/?q=state:done endpoint:bob", "/?q=state:waiting error:nothing", "/?q=state:all error:nothing", "/?q=state:all delivery:d5", "/?q=priority:urgent","/failures", "/deadlines", "/endpoints", "/numbers?days=30", "/numbers?days=365", f"/requests/{rid}", "/actions/retry-matching?q=state:parked"]:
        ts=[]
        for _ in range(12):
            t0=time.perf_counter(); r=site.client.get(a); ts.append((time.perf_counter()-t0)*1000)
            assert r.status_code==200,(a,r.status_code)
        ts.sort(); print(f"{a:70} median {ts[6]:7.0f} p95 {ts[-1]:7.0f} ms", flush=True)
