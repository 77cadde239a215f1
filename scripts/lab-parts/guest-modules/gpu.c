/*
 * Two DRM devices without hardware, since none of QEMU's drivers reports sizes in fdinfo: buffers of /dev/dri/card0 are
 * shared memory, as those of i915 and panfrost, and buffers of card1 are pages of TTM, as those of amdgpu and xe. A dumb
 * buffer has its pages from the start. Their fdinfo is that of DRM (drm_show_memory_stats). The module is never unloaded.
 */
#include <drm/drm_drv.h>
#include <drm/drm_dumb_buffers.h>
#include <drm/drm_file.h>
#include <drm/drm_gem_shmem_helper.h>
#include <drm/ttm/ttm_bo.h>
#include <drm/ttm/ttm_device.h>
#include <drm/ttm/ttm_tt.h>
#include <linux/module.h>
#include <linux/platform_device.h>

struct ttm_buffer {
	struct drm_gem_object base;
	struct ttm_tt pages;
};

static struct ttm_device ttm;
static const struct ttm_device_funcs ttm_functions;

static enum drm_gem_object_status resident(struct drm_gem_object *object)
{
	return DRM_GEM_OBJECT_RESIDENT;
}

static void free_shmem(struct drm_gem_object *object)
{
	if (to_drm_gem_shmem_obj(object)->pages)
		drm_gem_shmem_unpin(to_drm_gem_shmem_obj(object));
	drm_gem_shmem_object_free(object);
}

static const struct drm_gem_object_funcs shmem_functions = {
	.free = free_shmem,
	.status = resident,
};

static struct drm_gem_object *shmem_object(struct drm_device *device, size_t size)
{
	struct drm_gem_shmem_object *buffer = kzalloc(sizeof(*buffer), GFP_KERNEL);

	if (!buffer)
		return ERR_PTR(-ENOMEM);
	buffer->base.funcs = &shmem_functions;
	return &buffer->base;
}

static int create_shmem(struct drm_file *file, struct drm_device *device, struct drm_mode_create_dumb *wanted)
{
	struct drm_gem_shmem_object *buffer;
	int error = drm_mode_size_dumb(device, wanted, 0, 0);

	if (error)
		return error;
	buffer = drm_gem_shmem_create(device, wanted->size);
	if (IS_ERR(buffer))
		return PTR_ERR(buffer);
	error = drm_gem_shmem_pin(buffer);
	if (!error)
		error = drm_gem_handle_create(file, &buffer->base, &wanted->handle);
	drm_gem_object_put(&buffer->base);
	return error;
}

static void free_ttm(struct drm_gem_object *object)
{
	struct ttm_buffer *buffer = container_of(object, struct ttm_buffer, base);

	ttm_pool_free(&ttm.pool, &buffer->pages);
	kvfree(buffer->pages.pages);
	drm_gem_object_release(object);
	kfree(buffer);
}

static const struct drm_gem_object_funcs ttm_object_functions = {
	.free = free_ttm,
	.status = resident,
};

static int create_ttm(struct drm_file *file, struct drm_device *device, struct drm_mode_create_dumb *wanted)
{
	struct ttm_operation_ctx context = { .interruptible = true };
	struct ttm_buffer *buffer;
	int error = drm_mode_size_dumb(device, wanted, 0, 0);

	if (error)
		return error;
	buffer = kzalloc(sizeof(*buffer), GFP_KERNEL);
	if (!buffer)
		return -ENOMEM;
	buffer->pages.num_pages = wanted->size >> PAGE_SHIFT;
	buffer->pages.caching = ttm_cached;
	buffer->pages.pages = kvcalloc(buffer->pages.num_pages, sizeof(struct page *), GFP_KERNEL);
	error = buffer->pages.pages ? ttm_pool_alloc(&ttm.pool, &buffer->pages, &context) : -ENOMEM;
	if (error) {
		kvfree(buffer->pages.pages);
		kfree(buffer);
		return error;
	}
	buffer->base.funcs = &ttm_object_functions;
	drm_gem_private_object_init(device, &buffer->base, wanted->size);
	error = drm_gem_handle_create(file, &buffer->base, &wanted->handle);
	drm_gem_object_put(&buffer->base);
	return error;
}

static const struct file_operations files = {
	.owner = THIS_MODULE,
	DRM_GEM_FOPS,
	.show_fdinfo = drm_show_fdinfo,
};

#define DRIVER(kind) { \
	.driver_features = DRIVER_GEM, \
	.name = "lab-" #kind, \
	.desc = "buffers without a device", \
	.fops = &files, \
	.show_fdinfo = drm_show_memory_stats, \
	.dumb_create = create_##kind, \
}
static struct drm_driver drivers[] = { DRIVER(shmem), DRIVER(ttm) };

static int begin(void)
{
	int at, error = 0;

	drivers[0].gem_create_object = shmem_object;
	for (at = 0; at < 2 && !error; at++) {
		struct platform_device *parent =
			platform_device_register_simple(drivers[at].name, PLATFORM_DEVID_NONE, NULL, 0);
		struct drm_device *device = IS_ERR(parent) ? ERR_CAST(parent) : drm_dev_alloc(&drivers[at], &parent->dev);

		if (IS_ERR(device))
			return PTR_ERR(device);
		if (at == 1)
			error = ttm_device_init(&ttm, &ttm_functions, device->dev, device->anon_inode->i_mapping,
						device->vma_offset_manager, 0);
		if (!error)
			error = drm_dev_register(device, 0);
	}
	return error;
}

module_init(begin);
MODULE_DESCRIPTION("DRM devices without hardware");
MODULE_LICENSE("GPL");
