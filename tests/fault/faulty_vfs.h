/* A SQLite file system that fails on demand: the Nth write or sync, once or from there on, with a given code; and one
 * that can be stopped at the Nth read, so that something else happens in the middle of it.
 *
 * It wraps the system's own and becomes the default, so the engine is tested as it is. Counting starts with faulty_arm.
 */
#ifndef CS_TESTS_FAULT_FAULTY_VFS_H
#define CS_TESTS_FAULT_FAULTY_VFS_H

#include <stdatomic.h>
#include <stdbool.h>

#include <sqlite3.h>

/* Called on the thread that reads, before it does. */
static _Thread_local void (*faulty_on_read)(void);

enum faulty_kind { FAULTY_NONE, FAULTY_WRITE, FAULTY_SYNC };

static struct {
	atomic_int kind;
	atomic_int left; /* calls until the first that fails */
	atomic_int code;
	atomic_int lasting;
	atomic_int failed; /* calls that failed */
} faulty;

static inline void faulty_arm(enum faulty_kind kind, int nth, int code, bool lasting)
{
	faulty.left = nth;
	faulty.code = code;
	faulty.lasting = lasting;
	faulty.failed = 0;
	faulty.kind = kind;
}

static inline int faulty_disarm(void)
{
	faulty.kind = FAULTY_NONE;
	return faulty.failed;
}

static int faulty_check(enum faulty_kind kind)
{
	int left;

	if (faulty.kind != (int)kind)
		return SQLITE_OK;
	left = atomic_fetch_sub(&faulty.left, 1);
	if (left > 1 || (left < 1 && !faulty.lasting))
		return SQLITE_OK;
	atomic_fetch_add(&faulty.failed, 1);
	return faulty.code;
}

struct faulty_file {
	sqlite3_file base;
	sqlite3_file *real; /* behind this struct */
};

#define REAL(file) (((struct faulty_file *)(file))->real)

static int faulty_close(sqlite3_file *file)
{
	return REAL(file)->pMethods->xClose(REAL(file));
}

static int faulty_read(sqlite3_file *file, void *to, int size, sqlite3_int64 at)
{
	if (faulty_on_read)
		faulty_on_read();
	return REAL(file)->pMethods->xRead(REAL(file), to, size, at);
}

static int faulty_write(sqlite3_file *file, const void *from, int size, sqlite3_int64 at)
{
	int code = faulty_check(FAULTY_WRITE);

	return code != SQLITE_OK ? code : REAL(file)->pMethods->xWrite(REAL(file), from, size, at);
}

static int faulty_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	return REAL(file)->pMethods->xTruncate(REAL(file), size);
}

static int faulty_sync(sqlite3_file *file, int flags)
{
	int code = faulty_check(FAULTY_SYNC);

	return code != SQLITE_OK ? code : REAL(file)->pMethods->xSync(REAL(file), flags);
}

static int faulty_size(sqlite3_file *file, sqlite3_int64 *size)
{
	return REAL(file)->pMethods->xFileSize(REAL(file), size);
}

static int faulty_lock(sqlite3_file *file, int level)
{
	return REAL(file)->pMethods->xLock(REAL(file), level);
}

static int faulty_unlock(sqlite3_file *file, int level)
{
	return REAL(file)->pMethods->xUnlock(REAL(file), level);
}

static int faulty_reserved(sqlite3_file *file, int *out)
{
	return REAL(file)->pMethods->xCheckReservedLock(REAL(file), out);
}

static int faulty_control(sqlite3_file *file, int what, void *with)
{
	return REAL(file)->pMethods->xFileControl(REAL(file), what, with);
}

static int faulty_sector(sqlite3_file *file)
{
	return REAL(file)->pMethods->xSectorSize(REAL(file));
}

static int faulty_device(sqlite3_file *file)
{
	return REAL(file)->pMethods->xDeviceCharacteristics(REAL(file));
}

static int faulty_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **to)
{
	return REAL(file)->pMethods->xShmMap(REAL(file), page, size, extend, to);
}

static int faulty_shm_lock(sqlite3_file *file, int offset, int n, int flags)
{
	return REAL(file)->pMethods->xShmLock(REAL(file), offset, n, flags);
}

static void faulty_shm_barrier(sqlite3_file *file)
{
	REAL(file)->pMethods->xShmBarrier(REAL(file));
}

static int faulty_shm_unmap(sqlite3_file *file, int remove)
{
	return REAL(file)->pMethods->xShmUnmap(REAL(file), remove);
}

static const sqlite3_io_methods faulty_methods = {
	.iVersion = 2,
	.xClose = faulty_close,
	.xRead = faulty_read,
	.xWrite = faulty_write,
	.xTruncate = faulty_truncate,
	.xSync = faulty_sync,
	.xFileSize = faulty_size,
	.xLock = faulty_lock,
	.xUnlock = faulty_unlock,
	.xCheckReservedLock = faulty_reserved,
	.xFileControl = faulty_control,
	.xSectorSize = faulty_sector,
	.xDeviceCharacteristics = faulty_device,
	.xShmMap = faulty_shm_map,
	.xShmLock = faulty_shm_lock,
	.xShmBarrier = faulty_shm_barrier,
	.xShmUnmap = faulty_shm_unmap,
};

static int faulty_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out)
{
	struct faulty_file *f = (struct faulty_file *)file;
	sqlite3_vfs *system = vfs->pAppData;
	int code;

	f->real = (sqlite3_file *)(f + 1);
	code = system->xOpen(system, name, f->real, flags, out);
	f->base.pMethods = code == SQLITE_OK ? &faulty_methods : NULL;
	return code;
}

static inline void faulty_install(void)
{
	static sqlite3_vfs vfs;
	sqlite3_vfs *system = sqlite3_vfs_find(NULL);

	vfs = *system;
	vfs.zName = "faulty";
	vfs.pAppData = system;
	vfs.szOsFile = system->szOsFile + (int)sizeof(struct faulty_file);
	vfs.xOpen = faulty_open;
	sqlite3_vfs_register(&vfs, 1);
}

#endif
